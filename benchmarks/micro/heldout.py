"""What pretraining never shows, so that the benchmark can: class pairs, outputs, label names."""

from collections.abc import Sequence

from benchmarks.micro.lexicon import kinds

CLASS_PAIRS = (
    ("place.house", "place.nature"),
    ("food.fruit", "food.sweet"),
    ("animal.farm", "animal.sea"),
    ("color.warm", "color.plain"),
    ("verb.obtain", "verb.harm"),
    ("vehicle.air", "vehicle.water"),
    ("clothes", "tool"),
    ("job", "animal"),
    ("weekday", "month"),
    ("past", "future"),
)
"""Pairs of classes that are never told apart (each is told apart from others)."""

OUTPUT_SLOTS = (
    ("adj",),
    ("time",),
    ("companion",),
    ("place", "subject"),
    ("object", "subject", "adj"),
    ("adj", "place"),
)
"""Slot sequences that are never asked for as an output."""

EXTRACTED_KINDS = ("food", "vehicle")
"""Groups that are never the word to find wherever it stands."""

SEEN_INPUTS = frozenset(
    [
        "kayak cider",
        "scarlet car",
        "navy raft",
        "green kayak",
        "jet pie",
        "waffle jet",
        "navy ship",
        "pink taxi",
        "pony pie",
        "chisel onion",
    ]
)
"""Inputs that the bundled model's corpus shows with the right output (`benchmarks.micro.scan`): never instances."""

LABEL_WORDS = frozenset(
    [
        "upstairs",
        "outside",
        "orchard",
        "pantry",
        "ranch",
        "harbor",
        "ember",
        "ash",
        "gained",
        "broken",
        "sky",
        "wet",
        "wear",
        "fix",
        "worker",
        "beast",
        "week",
        "season",
        "before",
        "after",
        "done",
        "planned",
        "indoors",
        "outdoors",
        "tree",
        "oven",
        "mud",
        "salt",
        "flame",
        "stone",
        "keep",
        "waste",
        "fly",
        "float",
        "shirt",
        "workshop",
        "human",
        "creature",
        "thumbs",
        "up",
        "down",
        "left",
        "right",
    ]
)
"""Words that are never a label name, nor a part of one."""


def is_held_out(classes: Sequence[Sequence[str]]) -> bool:
    """Whether some two of these classes are a held-out pair (or lie within one)."""
    return any(
        (_within(a, p) and _within(b, q)) or (_within(a, q) and _within(b, p))
        for p, q in CLASS_PAIRS
        for i, a in enumerate(classes)
        for b in classes[i + 1 :]
    )


def _within(groups: Sequence[str], held: str) -> bool:
    return all(g == held or (kinds(g) and set(kinds(g)) <= set(kinds(held))) for g in groups)
