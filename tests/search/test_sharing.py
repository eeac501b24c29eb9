"""Which jobs wait for each other, told from their settings."""

import pytest

from selfguide.config.identity import knobs
from selfguide.search.sharing import STAGES, work_of
from tests.composing import run_config

CELL = ("task190", 0)


def shared(one: dict[str, object], other: dict[str, object]) -> set[str]:
    return {key.split()[0] for key in work_of(CELL, one) & work_of(CELL, other)}


@pytest.mark.parametrize(
    ("key", "values", "stages"),
    [
        ("finetuning.epochs", (1, 3), STAGES),  # a choice among the weights of one training
        ("evaluation.max_new_tokens", (8, 16), STAGES),
        ("finetuning.learning_rate", (1e-3, 1e-4), STAGES[:3]),
        ("annotation.conditioning_label_weight", (0, 20), STAGES[:2]),
        ("temperature.output", (0.1, 0.7), STAGES[:1]),
        ("temperature.input", (0.6, 1.0), ()),
        ("method.of_a_plugin", ("a", "b"), ()),
        ("x", (1, 2), ()),
    ],
)
def test_settings_share_what_comes_before_the_first_knob_in_which_they_differ(
    key: str, values: tuple[object, object], stages: tuple[str, ...]
) -> None:
    rest = {"filters.input_length": "on", "annotation.samples": 10}
    assert shared({key: values[0], **rest}, {**rest, key: values[1]}) == {"baseline", *stages}


def test_other_tasks_share_nothing_and_other_seeds_the_baseline() -> None:
    setting = {"finetuning.epochs": 1}
    assert not work_of(CELL, setting) & work_of(("task199", 0), setting)
    assert {key.split()[0] for key in work_of(CELL, setting) & work_of((CELL[0], 1), setting)} == {"baseline"}


def test_whole_runs_are_told_apart_as_settings_are() -> None:
    runs = [run_config(*more) for more in ((), ("finetuning.epochs=1",), ("method=zerogen",))]
    plain, epochs, other = ({knob.key: knob.value for knob in knobs(run)} for run in runs)
    assert shared(plain, epochs) == {"baseline", *STAGES}
    assert shared(plain, other) == {"baseline"}
