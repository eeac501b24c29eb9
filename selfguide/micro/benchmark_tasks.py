"""The micro benchmark: tasks whose rule, label names, sentence form and instruction pretraining never showed.

Sentences have many properties and lexicons far more words than the demonstrations, so a few
demonstrations point to the rule on most inputs, not on all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from selfguide.micro.forms import HELD_OUT, PHRASES
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
        if isinstance(rule, ClassRule):
            wide = {**rule.pools, rule.slot: tuple(g for groups in rule.classes for g in groups)}
        else:
            wide = dict(rule.pools)
        for form in rule.forms:
            if isinstance(rule, FindRule):
                scene = _find_scene(rule, form, text)
            else:
                tense = "past" if isinstance(rule, ClassRule) else rule.tense
                scene = parse(text, form, wide, tense)
            if scene is not None:
                return rule.label_of(scene) if isinstance(rule, ClassRule) else rule.output_of(scene)
        return None

    def demonstrations(self, seed: int) -> tuple[Example, ...]:
        """The demonstrations of a seed: every label equally often, in random order; seed 0 is the task file's."""
        rng = child_random(seed, "demonstrations", self.name)
        labels = list(self.rule.labels) or [None]
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
        while len(found) < count:
            sample = self.rule.sample(rng)
            found.setdefault(sample.input, sample)
        return tuple(Example(s.input, s.output) for s in found.values())


def _find_scene(rule: FindRule, form: str, text: str):  # type: ignore[no-untyped-def]
    everything = {
        s: tuple(dict.fromkeys((*rule.pools.get(s, ()), rule.group))) for s in slots_of(form) if s in rule.slots
    }
    return parse(text, form, {**rule.pools, **everything})


_PEOPLE = ("name", "job")
_GOODS = ("furniture", "instrument", "toy", "thing")


def _rule(
    form: int, slot: str, first: str, second: str, labels: tuple[str, str], **pools: tuple[str, ...]
) -> ClassRule:
    return ClassRule((HELD_OUT[form],), slot, ((first,), (second,)), labels, pools)


TASKS: tuple[BenchmarkTask, ...] = (
    BenchmarkTask(
        "shop_shelf", "test", "The shop has two shelves. Where does the thing belong?",
        ClassRule((PHRASES[0],), "object", (("clothes",), ("tool",)), ("wear", "fix")),
        "class pair, label names, instruction",
    ),
    BenchmarkTask(
        "indoors_or_out", "test", "Tell from the report whether it happened under a roof.",
        _rule(0, "place", "place.house", "place.nature", ("upstairs", "outdoors"), subject=_PEOPLE, object=_GOODS),
        "class pair, sentence form, label names, instruction",
    ),
    BenchmarkTask(
        "fruit_stall", "test", "Read the ticket. Which stall sells it?",
        _rule(3, "object", "food.fruit", "food.sweet", ("orchard", "oven"), adj=("color", "size")),
        "class pair, record form, label names, instruction",
    ),
    BenchmarkTask(
        "farm_or_sea", "test", "Which vet should see the animal of the story?",
        _rule(2, "subject", "animal.farm", "animal.sea", ("ranch", "harbor"), object=_GOODS, companion=("name",)),
        "class pair, sentence form, label names, instruction",
    ),
    BenchmarkTask(
        "gain_or_loss", "test", "Did the owner profit or was there damage?",
        _rule(1, "verb", "verb.obtain", "verb.harm", ("gained", "broken"), subject=_PEOPLE, object=_GOODS),
        "class pair, sentence form, label names, instruction",
    ),
    BenchmarkTask(
        "ember_or_ash", "validation", "Judge the paint in the picture.",
        _rule(4, "adj", "color.warm", "color.plain", ("ember", "ash"), subject=("name",), object=_GOODS),
        "class pair, sentence form, label names, instruction",
    ),
    BenchmarkTask(
        "week_or_season", "validation", "How precise is the diary?",
        _rule(0, "time", "weekday", "month", ("week", "season"), subject=_PEOPLE, object=_GOODS),
        "class pair, sentence form, label names, instruction",
    ),
    BenchmarkTask(
        "fly_or_float", "validation", "Harbour or airfield? Route the ticket.",
        _rule(3, "object", "vehicle.air", "vehicle.water", ("fly", "float")),
        "class pair, record form, label names, instruction",
    ),
    BenchmarkTask(
        "color_word", "test", "Which paint was used? One word.",
        TemplateRule((HELD_OUT[1],), "{adj}", {"adj": ("color",), "subject": _PEOPLE, "object": _GOODS}),
        "output slot, sentence form, instruction",
    ),
    BenchmarkTask(
        "find_food", "test", "What could you eat or drink here?",
        FindRule(
            ("{w1} {w2} {w3}", "{w1}, {w2}, {w3}, {w4}"), "food", ("w1", "w2", "w3", "w4"),
            dict.fromkeys(("w1", "w2", "w3", "w4"), ("tool", "clothes", "furniture", "animal")), bias=0.34,
        ),
        "word to find, instruction",
    ),
    BenchmarkTask(
        "place_and_person", "test", "Fill the guest book: room first, then the guest.",
        TemplateRule((HELD_OUT[0],), "{place} {subject}", {"subject": _PEOPLE, "object": _GOODS}),
        "output slots, sentence form, instruction",
    ),
    BenchmarkTask(
        "to_plan", "test", "Turn the diary into a to-do list.",
        RewriteRule(
            (HELD_OUT[2],), HELD_OUT[2], {"subject": _PEOPLE, "object": _GOODS, "companion": _PEOPLE}, "past", "future"
        ),
        "tense pair, sentence form, instruction",
    ),
    BenchmarkTask(
        "time_stamp", "validation", "Write the stamp for the archive.",
        TemplateRule((HELD_OUT[3],), "{time}", {"object": _GOODS}),
        "output slot, record form, instruction",
    ),
    BenchmarkTask(
        "find_vehicle", "validation", "What could you travel with?",
        FindRule(
            ("{w1}, {w2}, {w3}", "{w1} {w2} {w3}"), "vehicle", ("w1", "w2", "w3"),
            dict.fromkeys(("w1", "w2", "w3"), ("tool", "food", "instrument", "color")), bias=0.34,
        ),
        "word to find, instruction",
    ),
)  # fmt: skip

BY_NAME: Mapping[str, BenchmarkTask] = {task.name: task for task in TASKS}
