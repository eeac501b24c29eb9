"""The micro benchmark: tasks whose rule, label names, sentence form and instruction pretraining never showed.

Sentences have many properties and lexicons far more words than the demonstrations, so a few
demonstrations point to the rule on most inputs, not on all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from selfguide.micro.forms import HELD_OUT, PHRASES, SENTENCES
from selfguide.micro.rules import ClassRule, FindRule, RewriteRule, Sample, TemplateRule
from selfguide.micro.scene import parse, slots_of
from selfguide.seeding import child_random
from selfguide.types import Example, Family

BenchmarkRule = ClassRule | FindRule | RewriteRule | TemplateRule
DEMONSTRATIONS = 6


@dataclass(frozen=True)
class BenchmarkTask:
    """One task. `held_out` says what pretraining did not show."""

    name: str
    group: Literal["validation", "test"]
    instruction: str
    rule: BenchmarkRule
    held_out: str

    @property
    def family(self) -> Family:
        return "classification" if self.rule.labels else "generation"

    def truth(self, text: str) -> str | None:
        """The right output for any text, None when the text is not an input of this task."""
        rule = self.rule
        # What does not decide the output may be any word that fits the slot.
        wide: dict[str, tuple[str, ...]] = {}
        if isinstance(rule, ClassRule):
            wide = {rule.slot: tuple(g for groups in rule.classes for g in groups)}
        elif isinstance(rule, TemplateRule):
            wide = {slot: tuple(rule.pools[slot]) for slot in slots_of(rule.template) if slot in rule.pools}
        for form in rule.forms:
            scene = parse(text, form, wide, "past" if isinstance(rule, ClassRule | FindRule) else rule.tense)
            if scene is not None:
                return rule.label_of(scene) if isinstance(rule, ClassRule) else rule.output_of(scene)
        return None

    def demonstrations(self, seed: int) -> tuple[Example, ...]:
        """The demonstrations of a seed: every label equally often, in random order; seed 0 is the task file's."""
        rng = child_random(seed, "demonstrations", self.name)
        labels: list[str | None] = list(self.rule.labels) or [None]
        chosen: dict[str, Sample] = {}
        while len(chosen) < DEMONSTRATIONS:
            sample = self.rule.sample(rng, labels[len(chosen) % len(labels)])
            chosen.setdefault(sample.input, sample)
        order = [Example(s.input, s.output) for s in chosen.values()]
        rng.shuffle(order)
        return tuple(order)

    def instances(self, seed: int, count: int) -> tuple[Example, ...]:
        """`count` different pairs."""
        rng = child_random(seed, "instances", self.name)
        found: dict[str, Sample] = {}
        for _ in range(100 * count):
            if len(found) == count:
                break
            sample = self.rule.sample(rng)
            found.setdefault(sample.input, sample)
        else:
            raise ValueError(f"{self.name}: fewer than {count} different inputs")
        return tuple(Example(s.input, s.output) for s in found.values())


_PEOPLE = ("name", "job")
_GOODS = ("furniture", "instrument", "toy", "thing")


def _classes(
    form: str, slot: str, first: str, second: str, labels: tuple[str, str], **pools: tuple[str, ...]
) -> ClassRule:
    return ClassRule((form,), slot, ((first,), (second,)), labels, pools)


TASKS: tuple[BenchmarkTask, ...] = (
    BenchmarkTask(
        "shop_shelf",
        "test",
        "The shop has two shelves. Where does the thing belong?",
        _classes(PHRASES[0], "object", "clothes", "tool", ("wear", "fix")),
        "class pair, label names, instruction",
    ),
    BenchmarkTask(
        "fruit_stall",
        "test",
        "Read the ticket. Which stall sells it?",
        _classes(HELD_OUT[3], "object", "food.fruit", "food.sweet", ("right", "oven"), adj=("color", "size")),
        "class pair, record form, label names, instruction",
    ),
    BenchmarkTask(
        "farm_or_sea",
        "test",
        "Which vet should see the animal?",
        _classes(PHRASES[0], "object", "animal.farm", "animal.sea", ("keep", "wet")),
        "class pair, label names, instruction",
    ),
    BenchmarkTask(
        "indoors_or_out",
        "test",
        "Tell from the list whether it stands under a roof.",
        _classes(PHRASES[1], "place", "place.house", "place.nature", ("left", "stone"), object=_GOODS),
        "class pair, label names, instruction",
    ),
    BenchmarkTask(
        "gain_or_loss",
        "test",
        "Did the owner profit or was there damage?",
        _classes(SENTENCES[0], "verb", "verb.obtain", "verb.harm", ("done", "waste"), subject=("name",), object=_GOODS),
        "class pair, label names, instruction",
    ),
    BenchmarkTask(
        "ember_or_ash",
        "validation",
        "Judge the paint.",
        _classes(PHRASES[3], "adj", "color.warm", "color.plain", ("ember", "ash"), object=_GOODS),
        "class pair, label names, instruction",
    ),
    BenchmarkTask(
        "week_or_season",
        "validation",
        "How precise is the diary?",
        _classes(HELD_OUT[0], "time", "weekday", "month", ("week", "season"), subject=_PEOPLE, object=_GOODS),
        "class pair, sentence form, label names, instruction",
    ),
    BenchmarkTask(
        "fly_or_float",
        "validation",
        "Harbour or airfield?",
        _classes(HELD_OUT[3], "object", "vehicle.air", "vehicle.water", ("fly", "down")),
        "class pair, record form, label names, instruction",
    ),
    BenchmarkTask(
        "color_word",
        "test",
        "Which paint was used? One word.",
        TemplateRule((SENTENCES[3],), "{adj}", {"adj": ("color",), "subject": _PEOPLE, "object": _GOODS}),
        "output slot, instruction",
    ),
    BenchmarkTask(
        "find_food",
        "test",
        "What could you eat or drink here?",
        FindRule(
            ("{w1} {w2}", "{w1}, {w2}, {w3}"),
            "food",
            ("w1", "w2", "w3"),
            dict.fromkeys(("w1", "w2", "w3"), ("tool", "clothes", "furniture", "animal")),
        ),
        "word to find, instruction",
    ),
    BenchmarkTask(
        "place_and_person",
        "test",
        "Fill the guest book: room first, then the guest.",
        TemplateRule((HELD_OUT[0],), "{place} {subject}", {"subject": _PEOPLE, "object": _GOODS}),
        "output slots, sentence form, instruction",
    ),
    BenchmarkTask(
        "to_plan",
        "test",
        "Turn the diary into a to-do list.",
        RewriteRule((SENTENCES[2],), SENTENCES[2], {"subject": _PEOPLE, "object": _GOODS}, "past", "future"),
        "tense pair, instruction",
    ),
    BenchmarkTask(
        "time_stamp",
        "validation",
        "Write the stamp for the archive.",
        TemplateRule((HELD_OUT[3],), "{time}", {"object": _GOODS}),
        "output slot, record form, instruction",
    ),
    BenchmarkTask(
        "find_vehicle",
        "validation",
        "What could you travel with?",
        FindRule(
            ("{w1} {w2}", "{w1}, {w2}, {w3}"),
            "vehicle",
            ("w1", "w2", "w3"),
            dict.fromkeys(("w1", "w2", "w3"), ("tool", "food", "instrument", "color")),
        ),
        "word to find, instruction",
    ),
)

BY_NAME: Mapping[str, BenchmarkTask] = {task.name: task for task in TASKS}
