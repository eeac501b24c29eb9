"""Families of pretraining rules: each draws a rule at random, within what is not held out."""

import random
from collections.abc import Sequence

from benchmarks.micro import forms, heldout
from benchmarks.micro.labels import draw_labels
from benchmarks.micro.lexicon import NOUN_GROUPS, WORDS, kinds, words
from benchmarks.micro.mixture import Mixture
from benchmarks.micro.rules import ClassRule, FindRule, RewriteRule, Rule, TemplateRule, WordRule, other_pools
from benchmarks.micro.scene import MOODS, SLOT_GROUPS, TENSES, WORD_GROUPS, draw_scene, slots_of

_VERB_SENTENCES = tuple(f for f in forms.SENTENCES if "{verb}" in f)
_WRAPS = ("{}",) * 14 + (
    "the {}",
    "({})",
    "{}!",
    "It is {}.",
    "- {}",
    "= {}",
    "[{}]",
    '"{}"',
    "{}?",
    "a {} one",
    "Answer: {}",
    "to {}",
    "{} ok",
)
_JOINS = (" ", ", ", ": ", " - ", " / ", " and ", " | ", "; ", " is ", " of ", " -> ", " for ")


def draw_classes(
    rng: random.Random, groups: Sequence[str], single_words: float, most: int = 4
) -> tuple[tuple[str, ...], ...]:
    """Two to `most` disjoint classes out of the kinds of `groups`: whole groups, single kinds or single words."""
    while True:
        count = min(most, rng.choice((2, 2, 2, 2, 3, 3, 4)))
        if rng.random() < single_words:
            pool = words(rng.choice([k for g in groups for k in kinds(g)]))
            if rng.random() < 0.6:
                pool = tuple(w for g in groups for w in words(g))
            classes = [(f"={w}",) for w in rng.sample(pool, min(count, len(pool)))]
        elif rng.random() < 0.4 and len(groups) >= count:
            classes = [(g,) for g in rng.sample(list(groups), count)]
        else:
            options = [k for g in groups for k in kinds(g)]
            if len(options) < count:
                continue
            classes = [(k,) for k in rng.sample(options, count)]
        if not heldout.is_held_out(classes):
            return tuple(classes)


def word_class(rng: random.Random, pieces: Sequence[str], mixture: Mixture) -> Rule:
    """Label a single word by its kind."""
    classes = draw_classes(rng, WORD_GROUPS, mixture.single_words)
    return ClassRule((forms.WORD,), "w1", classes, draw_labels(rng, len(classes), pieces, mixture.simple_labels))


def recall(rng: random.Random, pieces: Sequence[str], mixture: Mixture) -> Rule:
    """Many words, each with its own label: nothing to generalise, only to look up. Looking up is learned first."""
    pool = tuple(w for g in WORD_GROUPS for w in words(g)) if not pieces or rng.random() < 0.6 else tuple(pieces)
    classes = tuple((f"={w}",) for w in rng.sample(pool, rng.randint(4, 9)))
    return ClassRule((forms.WORD,), "w1", classes, draw_labels(rng, len(classes), pieces, mixture.simple_labels))


def list_class(rng: random.Random, pieces: Sequence[str], mixture: Mixture) -> Rule:
    """Label a list by the kind of all its words, or of the word at one position."""
    classes = draw_classes(rng, WORD_GROUPS, mixture.single_words)
    form = rng.choice(forms.LISTS)
    slot = "list" if rng.random() < 0.5 else rng.choice(slots_of(form))
    pools = {} if slot == "list" else other_pools(rng, slots_of(form), (slot,))
    return ClassRule((form,), slot, classes, draw_labels(rng, len(classes), pieces, mixture.simple_labels), pools)


def short_class(rng: random.Random, pieces: Sequence[str], mixture: Mixture) -> Rule:
    """Label a phrase or a record by one of its slots."""
    return _slot_class(rng, (forms.draw_record(rng, pieces),), pieces, mixture)


def sentence_class(rng: random.Random, pieces: Sequence[str], mixture: Mixture) -> Rule:
    """Label a sentence by one of its slots, its tense or its mood."""
    if rng.random() < 0.15:
        slot, values = rng.choice((("tense", TENSES), ("mood", MOODS)))
        while True:
            chosen = rng.sample(values, rng.choice((2, 2, 3)))
            if not heldout.is_held_out([(c,) for c in chosen]):
                break
        form = rng.choice(forms.SENTENCES[:4])
        labels = draw_labels(rng, len(chosen), pieces, mixture.simple_labels)
        return ClassRule((form,), slot, tuple((c,) for c in chosen), labels, other_pools(rng, slots_of(form)))
    count = rng.choice((1, 1, 2))
    return _slot_class(rng, tuple(dict.fromkeys(forms.draw_sentence(rng) for _ in range(count))), pieces, mixture)


def _slot_class(rng: random.Random, chosen: tuple[str, ...], pieces: Sequence[str], mixture: Mixture) -> Rule:
    shared = [s for s in slots_of(chosen[0]) if all(s in slots_of(f) for f in chosen)]
    slot = rng.choice([s for s in shared if s not in ("number", "weather", "sport")] or shared)
    if slot in ("number", "weather", "sport"):
        classes: tuple[tuple[str, ...], ...] = tuple((f"={w}",) for w in rng.sample(words(slot), 2))
    else:
        classes = draw_classes(rng, SLOT_GROUPS[slot], mixture.single_words, 3)
    pools = other_pools(rng, [s for f in chosen for s in slots_of(f)], (slot,))
    wrap = rng.choice(_WRAPS) if rng.random() < 0.1 else "{}"
    return ClassRule(chosen, slot, classes, draw_labels(rng, len(classes), pieces, mixture.simple_labels), pools, wrap)


def template(rng: random.Random, pieces: Sequence[str], mixture: Mixture) -> Rule:
    """Write some of the slots of an input in a fixed pattern."""
    chosen: tuple[str, ...] = (_any_form(rng, pieces),)
    if rng.random() < 0.3:
        chosen = tuple(dict.fromkeys((*chosen, _any_form(rng, pieces))))
    while True:
        shared = [s for s in slots_of(chosen[0]) if all(s in slots_of(f) for f in chosen)]
        if not shared:
            chosen = chosen[:1]
            continue
        slots = rng.sample(shared, min(len(shared), rng.choice((1, 1, 1, 2, 2, 3))))
        if tuple(slots) not in heldout.OUTPUT_SLOTS:
            break
        if len(shared) == 1:
            return template(rng, pieces, mixture)
    body = "{" + slots[0] + "}"
    join = rng.choice(_JOINS)
    for slot in slots[1:]:
        body += (join if rng.random() < 0.7 else rng.choice(_JOINS)) + "{" + slot + "}"
    body = _literal_wrap(rng, pieces).replace("{}", body)
    pools = other_pools(rng, [s for f in chosen for s in slots_of(f)]) if rng.random() < 0.7 else {}
    return TemplateRule(chosen, body, pools)


def _any_form(rng: random.Random, pieces: Sequence[str]) -> str:
    kind = rng.random()
    if kind < 0.25:
        return rng.choice(forms.LISTS)
    return forms.draw_record(rng, pieces) if kind < 0.5 else forms.draw_sentence(rng)


def find(rng: random.Random, pieces: Sequence[str], mixture: Mixture) -> Rule:
    """Find the word of one kind, whether it stands in one slot or another."""
    if rng.random() < 0.4:
        form = rng.choice(forms.LISTS)
        slots = slots_of(form)
        group = rng.choice([g for g in WORD_GROUPS if g not in heldout.EXTRACTED_KINDS])
    else:
        form = rng.choice([f for f in forms.SENTENCES if "{object}" in f])
        group = rng.choice(("animal", "name", "job"))
        slots = ("subject", "companion") if "companion" in form and group != "animal" else ("subject", "object")
        group = "animal" if slots == ("subject", "object") else group
    others = [k for s in slots for g in SLOT_GROUPS[s] for k in kinds(g) if k not in kinds(group)]
    pools = other_pools(rng, slots_of(form))
    for slot in slots:
        allowed = [k for k in others if k in {k for g in SLOT_GROUPS[slot] for k in kinds(g)}]
        pools[slot] = tuple(rng.sample(allowed, min(3, len(allowed))))
    return FindRule((form,), group, tuple(slots), pools, _literal_wrap(rng, pieces), bias=rng.choice((0.3, 0.5, 0.8)))


def rewrite(rng: random.Random, pieces: Sequence[str], mixture: Mixture) -> Rule:
    """Say a sentence in another form, tense or mood, without a part, or with a part replaced."""
    form = forms.draw_sentence(rng)
    have = slots_of(form)
    targets = [
        f for f in (*forms.SENTENCES, *forms.RECORDS, *forms.PHRASES) if set(slots_of(f)) <= set(have) and f != form
    ]
    tense, to_tense, mood, fixed = "past", "past", "statement", {}
    kind = rng.random()
    target = rng.choice(targets) if targets and kind < 0.5 else form
    if "{verb}" in target and rng.random() < 0.5:
        tense, to_tense = rng.choice(
            [(a, b) for a in TENSES for b in TENSES if a != b and (a, b) != ("past", "future")]
        )
    elif target.startswith("{subject}") and rng.random() < 0.4 and "{verb}" in target:
        mood = rng.choice(MOODS[1:])
    if rng.random() < 0.3 or (target == form and tense == to_tense and mood == "statement"):
        slot = rng.choice(slots_of(target))
        fixed = {slot: draw_scene(rng, "{" + slot + "}", {}).fill[slot]}
    return RewriteRule((form,), target, other_pools(rng, have), tense, to_tense, mood, fixed)


def word_change(rng: random.Random, pieces: Sequence[str], mixture: Mixture) -> Rule:
    """Change the form of a noun or a verb."""
    if rng.random() < 0.5:
        return WordRule(rng.choice(("plural", "singular")), rng.choice(NOUN_GROUPS), _literal_wrap(rng, pieces))
    return WordRule(rng.choice(("past", "third", "participle", "base")), "verb", _literal_wrap(rng, pieces))


def _literal_wrap(rng: random.Random, pieces: Sequence[str]) -> str:
    wrap = rng.choice(_WRAPS)
    if rng.random() < 0.2:
        extra = rng.choice(pieces) if pieces and rng.random() < 0.6 else rng.choice(words(rng.choice(list(WORDS))))
        wrap = rng.choice((f"{extra} {{}}", f"{{}} {extra}", f"{extra}: {{}}", f"{{}} is {extra}"))
    return wrap
