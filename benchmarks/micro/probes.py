"""Probes of a model in training, on rules, sentence forms and label names that the corpus never shows."""

import random
from collections.abc import Sequence
from typing import Any

from benchmarks.micro import forms
from benchmarks.micro.drawn_tasks import draw_tasks
from benchmarks.micro.episodes import draw_samples
from benchmarks.micro.heldout import LABEL_WORDS
from benchmarks.micro.lexicon import NOUN_GROUPS
from benchmarks.micro.rules import ClassRule, FindRule, RewriteRule, Rule, TemplateRule
from benchmarks.micro.scene import parse
from selfguide.core.types import Example
from selfguide.prompts.selfguide import AnswerPrompt, InputPrompt, plain_completion

_PAIRS = (
    (("clothes",), ("tool",)),
    (("place.house",), ("place.nature",)),
    (("food.fruit",), ("food.sweet",)),
    (("animal.farm",), ("animal.sea",)),
)


def probe_rules(rng: random.Random) -> dict[str, Rule]:
    """One rule for each probe, with label names never seen."""
    pair = rng.choice(_PAIRS)
    labels = tuple(rng.sample(sorted(LABEL_WORDS), 2))
    nouns = rng.choice((pair, (("clothes",), ("tool",)))) if pair[0][0].startswith("place") else pair
    pools = {
        "object": ("furniture", "tool"),
        "adj": ("color", "size.large"),
        "subject": ("name",),
        "verb": ("verb.help", "verb.move"),
        "time": ("weekday",),
    }
    return {
        "word": ClassRule((forms.WORD,), "w1", pair, labels),
        "phrase": ClassRule(("{adj} {object}",), "object", nouns, labels, pools),
        "sentence": ClassRule((forms.HELD_OUT[1],), "object", nouns, labels, {**pools, "place": ("place.town",)}),
        "place": ClassRule((forms.HELD_OUT[0],), "place", _PAIRS[1], labels, pools),
        "color": TemplateRule((forms.SENTENCES[3],), "{adj}", {**pools, "adj": ("color",)}),
        "pair": TemplateRule((forms.SENTENCES[3],), "{place}: {subject}", pools),
        "find": FindRule(
            ("{w1}, {w2}, {w3}",),
            "food",
            ("w1", "w2", "w3"),
            dict.fromkeys(("w1", "w2", "w3"), ("tool", "color", "name")),
        ),
        "future": RewriteRule((forms.SENTENCES[2],), forms.SENTENCES[2], pools, "past", "future"),
    }


def answer_cases(seed: int, per_probe: int, shots: int = 6) -> dict[str, list[tuple[str, str]]]:
    """Probe name -> (prompt, completion) cases, each with its own demonstrations."""
    rng = random.Random(seed)
    cases: dict[str, list[tuple[str, str]]] = {}
    for _ in range(per_probe):
        for name, rule in probe_rules(rng).items():
            *shown, query = draw_samples(rng, rule, shots + 1)
            demonstrations = tuple(Example(s.input, s.output) for s in shown)
            prompt = AnswerPrompt(
                "Do as the examples do." if not rule.labels else "Tell them apart.", demonstrations, query.input
            )
            cases.setdefault(name, []).append((prompt.plain(), plain_completion(query.output)))
    return cases


def reading_cases(tasks: int, per_task: int, shots: int = 3) -> dict[str, list[tuple[str, str]]]:
    """The same of development tasks: without demonstrations, with all, and with a neutral instruction."""
    cases: dict[str, list[tuple[str, str]]] = {"zero_shot": [], "given": [], "neutral": []}
    for task in draw_tasks("development", "0", tasks):
        shown = task.demonstrations(0)[:shots]
        asked = {"zero_shot": (task.instruction, ()), "given": (task.instruction, shown), "neutral": ("Go.", shown)}
        for instance in task.instances(0, per_task):
            for name, (instruction, demonstrations) in asked.items():
                prompt = AnswerPrompt(instruction, demonstrations, instance.input)
                cases[name].append((prompt.plain(), plain_completion(instance.output)))
    return cases


def exact_match(model: Any, tokenizer: Any, cases: Sequence[tuple[str, str]]) -> float:
    """Share of completions whose every token is the likeliest one: greedy decoding would give them."""
    import torch

    with torch.no_grad():
        rows = [(tokenizer.encode(p).ids, tokenizer.encode(c, add_special_tokens=False).ids) for p, c in cases]
        width = max(len(p) + len(c) for p, c in rows)
        ids = torch.full((len(rows), width), tokenizer.token_to_id("<pad>"))
        for i, (prompt, completion) in enumerate(rows):
            ids[i, : len(prompt) + len(completion)] = torch.tensor(prompt + completion)
        best = model(input_ids=ids).logits.argmax(-1)
        hits = [best[i, len(p) - 1 : len(p) - 1 + len(c)].tolist() == c for i, (p, c) in enumerate(rows)]
    return float(sum(hits) / len(hits))


def conditioned_validity(model: Any, tokenizer: Any, seed: int, count: int) -> dict[str, float]:
    """Share of inputs written for a given label that parse and have that label, with 3 demonstrations of each label."""
    import torch

    rng = random.Random(seed)
    torch.manual_seed(seed)
    hits: dict[str, list[bool]] = {}
    eos = tokenizer.token_to_id("</s>")
    stops = [tokenizer.token_to_id(f) for f in ("\n\nInput:", "\n\nOutput:", "\nInput:", "\nOutput:", "\n\nDraft:")]
    for name in ("word", "sentence", "place"):
        for _ in range(count):
            rule = probe_rules(rng)[name]
            assert isinstance(rule, ClassRule)
            samples = [rule.sample(rng, label) for label in rule.labels for _ in range(3)]
            rng.shuffle(samples)
            wanted = rng.choice(rule.labels)
            shown = tuple(Example(s.input, s.output) for s in samples)
            prompt = InputPrompt("Tell them apart.", shown, (), wanted, True).plain()
            ids = torch.tensor([tokenizer.encode(prompt).ids])
            out = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=24,
                do_sample=True,
                temperature=0.8,
                top_k=40,
                eos_token_id=[eos, *stops],
                pad_token_id=eos,
            )
            text = tokenizer.decode([t for t in out[0, ids.shape[1] :].tolist() if t not in (eos, *stops)])
            pools = {**rule.pools, rule.slot: tuple(g for c in rule.classes for g in c)}
            scene = parse(text, rule.forms[0], {**pools, **({"object": NOUN_GROUPS} if rule.slot != "object" else {})})
            hits.setdefault(name, []).append(scene is not None and rule.label_of(scene) == wanted)
    return {name: sum(h) / len(h) for name, h in hits.items()}
