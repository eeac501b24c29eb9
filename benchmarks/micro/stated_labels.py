"""Classification whose instruction says what decides and which labels there are."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.micro import forms, heldout
from benchmarks.micro.crowded import OF_ONE_KIND, draw_crowded, draw_plain, rivals
from benchmarks.micro.labels import draw_labels
from benchmarks.micro.lexicon import kinds, words
from benchmarks.micro.names import class_name, is_named, names_of
from benchmarks.micro.paraphrases import draw_paraphrase
from benchmarks.micro.parts import Part, label_words, part_of, part_of_classes
from benchmarks.micro.rules import ClassRule, other_pools
from benchmarks.micro.scene import SLOT_GROUPS, slots_of
from benchmarks.micro.stated import Stated

LabelStyle = Literal["named", "synonym", "bound"]
_STYLES: tuple[LabelStyle, ...] = ("named", "synonym", "bound")
# How a binding begins, and how it joins a label to the name of its class.
_BINDINGS = (
    ("Write ", "{label} for {name}"), ("Write ", "{label} if it is {name}"), ("Say ", "{label} if it is {name}"),
    ("Answer ", "{label} for {name}"), ("Use ", "{label} for {name}"), ("Labels: ", "{label} for {name}"),
    ("Call ", "{name} {label}"), ("", "{label} = {name}"), ("", "{label} means {name}"), ("", "{name} -> {label}"),
    ("", "{name}: {label}"),
)  # fmt: skip


@dataclass(frozen=True)
class Classes:
    """The classes that a slot tells apart."""

    slot: str
    groups: tuple[tuple[str, ...], ...]


def draw_labelled(
    rng: random.Random, part: Part, pieces: Sequence[str] = (), style: LabelStyle | None = None
) -> Stated:
    """A rule of `part` that labels a text by the kind of the word in one slot, wherever that stands."""
    form = _draw_form(rng, part)
    classes = draw_classes(rng, form, part)
    pools = pools_of(rng, form, classes)
    style = style or rng.choices(_STYLES, (5, 2, 5))[0]
    if style == "synonym" and any(len(names_of(groups)) < 2 for groups in classes.groups):
        style = "bound"
    labels = _labels(rng, classes, part, pieces, style)
    rule = ClassRule((form,), classes.slot, classes.groups, labels, pools)
    return Stated(rule, state(rng, rule, part, style), "kind", classes.slot)


def draw_classes(rng: random.Random, form: str, part: Part, slot: str | None = None) -> Classes:
    """Two or three disjoint classes of a slot of the form that this part may oppose."""
    while True:
        chosen = slot or rng.choice([s for s in slots_of(form) if s not in OF_ONE_KIND])
        count = 3 if rng.random() < 0.15 else 2
        groups = [g for g in SLOT_GROUPS[chosen] if is_named(g)]
        fine = [k for g in SLOT_GROUPS[chosen] for k in kinds(g) if is_named(k)]
        kind = rng.random()
        if kind < 0.12:
            pool = [w for w in words(rng.choice(SLOT_GROUPS[chosen])) if w not in heldout.LABEL_WORDS]
            options = [f"={w}" for w in rng.sample(pool, min(count, len(pool)))]
        else:
            options = groups if kind < 0.5 else fine
        if len(options) < count:
            continue
        drawn = tuple((g,) for g in rng.sample(options, count))
        if part_of_classes(drawn) != part or (part == "corpus" and heldout.is_held_out(drawn)):
            continue
        if len({name for group in drawn for name in names_of(group)}) == sum(len(names_of(g)) for g in drawn):
            return Classes(chosen, drawn)


def pools_of(rng: random.Random, form: str, classes: Classes) -> dict[str, tuple[str, ...]]:
    """Words of the other slots; a slot of the deciding one's type holds words of these classes too."""
    pools = other_pools(rng, slots_of(form), (classes.slot,))
    for group in rivals(form):
        if classes.slot in group:
            every = tuple(kind for groups in classes.groups for kind in groups)
            pools |= {slot: every for slot in group if slot != classes.slot}
    return pools


def state(rng: random.Random, rule: ClassRule, part: Part, style: LabelStyle) -> str:
    """An instruction that says all one needs to know of the rule."""
    order = list(zip(rule.labels, map(class_name, rule.classes), strict=True))
    rng.shuffle(order)
    text = draw_paraphrase(rng, "kind", rule.slot, part).format(classes=" or ".join(name for _, name in order))
    if style == "synonym":
        text += " Labels: " + ", ".join(label for label, _ in order) + "."
    if style == "bound":
        (lead, binding), join = rng.choice(_BINDINGS), rng.choice((", ", ", ", " and ", "; "))
        text += f" {lead}{join.join(binding.format(label=label, name=name) for label, name in order)}."
    return text


def _labels(
    rng: random.Random, classes: Classes, part: Part, pieces: Sequence[str], style: LabelStyle
) -> tuple[str, ...]:
    if style == "named":
        return tuple(map(class_name, classes.groups))
    if style == "synonym":
        return tuple(rng.choice(names_of(group)[1:]) for group in classes.groups)
    if part != "corpus":
        return tuple(rng.sample(label_words(part), len(classes.groups)))
    allowed = [piece for piece in pieces if part_of("label word", piece) == "corpus"]
    return draw_labels(rng, len(classes.groups), allowed)


def _draw_form(rng: random.Random, part: Part) -> str:
    kind = rng.random()
    if kind < 0.12 and part == "corpus":
        return rng.choice((forms.WORD, *forms.LISTS[:3]))
    return draw_crowded(rng, part) if kind < 0.5 else draw_plain(rng, part)
