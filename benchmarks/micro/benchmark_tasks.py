"""The micro benchmark: tasks whose label names and instruction, and where said rule or form, pretraining never showed.

Inputs have many properties and lexicons far more words than the demonstrations. In the classification
tasks the word that decides comes first: only there the bundled model writes inputs for a given label.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.micro.forms import HELD_OUT, PHRASES, RECORDS, SENTENCES
from benchmarks.micro.rules import ClassRule, FindRule, RewriteRule, Sample, TemplateRule
from benchmarks.micro.scene import parse, slots_of
from selfguide.core.seeding import child_random
from selfguide.core.types import Example, Family

BenchmarkRule = ClassRule | FindRule | RewriteRule | TemplateRule
DEMONSTRATIONS = 6


@dataclass(frozen=True)
class BenchmarkTask:
    """One task. `held_out` says what pretraining did not show; `shots` are its demonstrations."""

    name: str
    group: Literal["validation", "test"]
    instruction: str
    rule: BenchmarkRule
    held_out: str
    shots: int = DEMONSTRATIONS

    @property
    def family(self) -> Family:
        return "classification" if self.rule.labels else "generation"

    @property
    def wide_pools(self) -> dict[str, tuple[str, ...]]:
        """Words of the slots that decide the output; any word that fits may stand in the others."""
        rule = self.rule
        if isinstance(rule, ClassRule):
            return {rule.slot: tuple(g for groups in rule.classes for g in groups)}
        if isinstance(rule, TemplateRule):
            return {slot: tuple(rule.pools[slot]) for slot in slots_of(rule.template) if slot in rule.pools}
        return {}

    def truth(self, text: str) -> str | None:
        """The right output for any text, None when the text is not an input of this task."""
        rule = self.rule
        for form in rule.forms:
            scene = parse(text, form, self.wide_pools, "past" if isinstance(rule, ClassRule | FindRule) else rule.tense)
            if scene is not None:
                return rule.label_of(scene) if isinstance(rule, ClassRule) else rule.output_of(scene)
        return None

    def demonstrations(self, seed: int) -> tuple[Example, ...]:
        """The demonstrations of a seed: every label equally often, in random order; seed 0 is the task file's."""
        rng = child_random(seed, "demonstrations", self.name)
        labels: list[str | None] = list(self.rule.labels) or [None]
        chosen: dict[str, Sample] = {}
        while len(chosen) < self.shots:
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
        _classes(PHRASES[1], "object", "clothes", "tool", ("right", "fix")),
        "class pair, label names, instruction",
    ),
    BenchmarkTask(
        "barn_or_garage",
        "test",
        "Where should the courier leave it?",
        _classes(RECORDS[1], "object", "animal.farm", "vehicle.land", ("stone", "done")),
        "label names, instruction",
    ),
    BenchmarkTask(
        "toy_or_treat",
        "test",
        "Read the note. Which stall sells it?",
        _classes(PHRASES[1], "object", "toy", "food", ("right", "after")),
        "label names, instruction",
    ),
    BenchmarkTask(
        "paint_or_stuff",
        "test",
        "What does the seller praise?",
        _classes(RECORDS[2], "adj", "color", "material", ("stone", "fix"), object=_GOODS, subject=_PEOPLE),
        "label names, instruction",
    ),
    BenchmarkTask(
        "hour_or_day",
        "test",
        "How exact is the diary?",
        _classes(HELD_OUT[0], "time", "time.day", "weekday", ("done", "shirt"), subject=_PEOPLE, object=_GOODS),
        "sentence form, label names, instruction",
    ),
    BenchmarkTask(
        "shade_or_size",
        "validation",
        "Judge the goods.",
        _classes(PHRASES[3], "adj", "color", "size", ("stone", "right"), object=_GOODS),
        "label names, instruction",
    ),
    BenchmarkTask(
        "fruit_or_tool",
        "validation",
        "Basket or bench?",
        _classes(RECORDS[1], "object", "food.fruit", "tool", ("done", "after")),
        "label names, instruction",
    ),
    BenchmarkTask(
        "name_or_job",
        "validation",
        "Do we know the guest?",
        _classes(HELD_OUT[2], "subject", "name", "job", ("shirt", "fix"), object=_GOODS),
        "sentence form, label names, instruction",
    ),
    BenchmarkTask(
        "color_word",
        "test",
        "The paint alone.",
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
        "Write the guest book: the room and the guest.",
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
