"""Extraction and rewriting whose instruction says what to write."""

import random
import re
from collections.abc import Callable

from benchmarks.micro.crowded import draw_crowded, draw_list, draw_plain, rivals
from benchmarks.micro.lexicon import kinds
from benchmarks.micro.names import SLOT_NAMES
from benchmarks.micro.paraphrases import draw_paraphrase
from benchmarks.micro.parts import Part
from benchmarks.micro.rules import FindRule, RewriteRule, TemplateRule, other_pools
from benchmarks.micro.scene import MOODS, SLOT_GROUPS, TENSES, WORD_GROUPS, draw_scene, slots_of
from benchmarks.micro.stated import Stated

_JOINS = {
    ", ": "a comma", " / ": "a slash", " - ": "a dash", " and ": "and", ": ": "a colon", " | ": "a bar",
    "; ": "a semicolon", " -> ": "an arrow",
}  # fmt: skip
_BETWEEN = ("Put {} between.", "Write {} between them.", "Join them with {}.", "With {} between.")
_WRAPS = {"({})": "in brackets", '"{}"': "in quotes", "{}!": "with an exclamation mark", "- {}": "after a dash"}
_LOOSE = ("time", "place", "companion", "manner", "origin", "goal", "receiver")
"""Slots that a sentence can do without, and begin with."""


def draw_extraction(rng: random.Random, part: Part, crowded: float = 0.8) -> Stated:
    """Give what one or two slots say; mostly out of a text that has more slots of their type."""
    form = draw_crowded(rng, part) if rng.random() < crowded else draw_plain(rng, part)
    if rng.random() < 0.1:
        form = draw_list(rng, part)
    near = [slot for group in rivals(form) for slot in group]
    options = near if near and rng.random() < 0.8 else [s for s in slots_of(form) if s in SLOT_NAMES]
    slot = rng.choice(options)
    text = draw_paraphrase(rng, "value", slot, part)
    template = "{" + slot + "}"
    others = [s for s in slots_of(form) if s in SLOT_NAMES and s != slot]
    if others and rng.random() < 0.25:
        second, join = rng.choice(others), rng.choice(list(_JOINS))
        template += join + "{" + second + "}"
        name = rng.choice(SLOT_NAMES[second])
        text += f" Then {name}. " + rng.choice(_BETWEEN).format(_JOINS[join])
    elif rng.random() < 0.15:
        wrap = rng.choice(list(_WRAPS))
        template, text = wrap.replace("{}", template), text + f" Write it {_WRAPS[wrap]}."
    pools = other_pools(rng, slots_of(form))
    for group in rivals(form):  # the same words may stand in each
        pools |= {s: pools[group[0]] for s in group if set(SLOT_GROUPS[s]) == set(SLOT_GROUPS[group[0]])}
    return Stated(TemplateRule((form,), template, pools), text, "value", slot)


def draw_find(rng: random.Random, part: Part) -> Stated:
    """Give the one word of a kind, wherever in a list it stands."""
    form = draw_list(rng, part)
    slots = slots_of(form)
    group = rng.choice(WORD_GROUPS)
    others = [k for g in WORD_GROUPS if g != group for k in kinds(g)]
    pools = {slot: tuple(rng.sample(others, 4)) for slot in slots}
    rule = FindRule((form,), group, slots, pools, bias=1 / len(slots))
    return Stated(rule, draw_paraphrase(rng, "find", group, part), "find", group)


def draw_rewriting(rng: random.Random, part: Part) -> Stated:
    """Say a sentence in another tense or mood, without something, with something else, or in another order."""
    while True:
        form = draw_crowded(rng, part) if rng.random() < 0.5 else draw_plain(rng, part)
        if form.endswith(".") and "{verb}" in form:
            break
    pools = other_pools(rng, slots_of(form))
    kind = rng.choice((_tense, _mood, _replace, _drop, _front))
    return kind(rng, part, form, pools) or _tense(rng, part, form, pools)


Pools = dict[str, tuple[str, ...]]
Rewriting = Callable[[random.Random, Part, str, Pools], Stated | None]


def _tense(rng: random.Random, part: Part, form: str, pools: Pools) -> Stated:
    before, after = rng.sample(TENSES, 2)
    rule = RewriteRule((form,), form, pools, before, after)
    return Stated(rule, draw_paraphrase(rng, "tense", after, part), "tense", after)


def _mood(rng: random.Random, part: Part, form: str, pools: Pools) -> Stated:
    moods = MOODS[1:] if form.startswith("{subject}") else MOODS[2:]
    mood = rng.choice(moods)
    rule = RewriteRule((form,), form, pools, to_mood=mood)
    return Stated(rule, draw_paraphrase(rng, "mood", mood, part), "mood", mood)


def _replace(rng: random.Random, part: Part, form: str, pools: Pools) -> Stated:
    slot = rng.choice([s for s in slots_of(form) if s not in ("verb", "objects")])
    word = draw_scene(rng, "{" + slot + "}", {}).fill[slot]
    text = draw_paraphrase(rng, "replace", slot, part).format(word=word)
    return Stated(RewriteRule((form,), form, pools, fixed={slot: word}), text, "replace", slot)


def _drop(rng: random.Random, part: Part, form: str, pools: Pools) -> Stated | None:
    slots = [s for s in slots_of(form) if s in (*_LOOSE, "adj", "other_adj")]
    if not slots:
        return None
    slot = rng.choice(slots)
    rule = RewriteRule((form,), without(form, slot), pools)
    return Stated(rule, draw_paraphrase(rng, "drop", slot, part), "drop", slot)


def _front(rng: random.Random, part: Part, form: str, pools: Pools) -> Stated | None:
    slots = [s for s in slots_of(form) if s in _LOOSE and not form.startswith("{" + s + "}")]
    if not slots:
        return None
    slot = rng.choice(slots)
    rule = RewriteRule((form,), "{" + slot + "} " + without(form, slot), pools)
    return Stated(rule, draw_paraphrase(rng, "front", slot, part), "front", slot)


def without(form: str, slot: str) -> str:
    """The form less a slot that stands for itself."""
    name = re.escape("{" + slot + "}")
    return re.sub(rf"^{name},? | {name}|{name} ", "", form, count=1)
