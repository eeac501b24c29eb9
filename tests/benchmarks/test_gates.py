"""The gates say what they were shown, and measure with the engine that runs use."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.micro.admission import ASKED, BAND, admission_trial, admit
from benchmarks.micro.ceiling import oracle_pairs
from benchmarks.micro.drawn_tasks import INSTANCES, draw_task
from benchmarks.micro.gates import Gate, Measured, gates, label_right, position, report
from benchmarks.micro.icl import Scores, Trial, calibrated, measure_plain, vote
from benchmarks.micro.reader import Reader, asked
from benchmarks.micro.rules import ClassRule
from benchmarks.micro.scene import slots_of
from selfguide.models.source import MICRO

GOOD = Scores(zero_shot=60, given=70, neutral=50, calibrated=72, reordered=71, consistent=70)
PASSING = [Measured(f"t{i}", "Do.", GOOD, 80, place, 90) for i, place in enumerate(("first", "middle", "last"))]


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader(MICRO) as opened:
        yield opened


def missed(found: list[Gate]) -> list[str]:
    return [gate.name for gate in found if not gate.passed]


def test_a_model_that_does_all_passes() -> None:
    assert missed(gates(PASSING)) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"zero_shot": 10}, "zero-shot with a stated rule"),
        ({"neutral": 69}, "right instruction over `Go.`"),
        ({"given": 30, "neutral": 10}, "tasks with ICL from 35 to 85 %"),
        ({"consistent": 85}, "oracle-label ceiling over the best ICL variant"),
    ],
)
def test_each_gate_looks_at_its_own_figure(change: dict[str, float], name: str) -> None:
    scores = replace(GOOD, **change)
    assert missed(gates([replace(task, scores=scores) for task in PASSING])) == [name]


def test_zero_shot_is_told_apart_by_family() -> None:
    other = replace(PASSING[0], position="", label_right=None, scores=replace(GOOD, zero_shot=20))
    assert gates([*PASSING, other])[0].measured == "50.0 % (4 tasks; classification 60.0, generation 20.0)"


def test_one_misleading_instruction_misses_the_gate() -> None:
    worst = replace(PASSING[0], scores=replace(GOOD, neutral=74))
    others = [replace(task, scores=replace(GOOD, neutral=40)) for task in PASSING[1:]]
    assert missed(gates([worst, *others])) == ["right instruction over `Go.`"]


def test_labels_are_asked_for_at_every_position() -> None:
    weak = [replace(task, label_right=60) if task.position == "last" else task for task in PASSING]
    assert missed(gates(weak)) == ["asked label right, deciding slot last"]


def test_what_was_not_measured_did_not_pass() -> None:
    found = gates([replace(task, ceiling=None, label_right=None) for task in PASSING])
    assert [gate.passed for gate in found].count(None) == 4
    assert "not measured" in report(PASSING, found)


def test_position_is_that_of_the_deciding_slot() -> None:
    for index in range(0, 16, 2):
        task = draw_task("development", 0, index)
        assert isinstance(task.rule, ClassRule)
        slots = slots_of(task.rule.forms[0])
        assert (position(task) == "first") == (slots[0] == task.rule.slot)
        assert (position(task) == "last") == (slots[-1] == task.rule.slot)
    assert position(draw_task("development", 0, 1)) == ""


def test_the_commonest_answer_wins_and_ties_go_to_the_first() -> None:
    assert vote(["a cup", "a hat", "A cup."]) == "a cup"
    assert vote(["hat", "cup"]) == "hat"


def test_a_trial_shows_no_instance() -> None:
    trial = Trial.of(draw_task("development", 0, 0), 30)
    assert len(trial.instances) == 30
    assert not {d.input for d in trial.demonstrations} & {i.input for i in trial.instances}
    assert trial.percent([instance.output for instance in trial.instances]) == 100
    assert trial.percent(["nothing"] * 30) == 0


def test_admission_sees_the_demonstrations_and_no_instance_that_is_scored(reader: Reader) -> None:
    task = draw_task("development", 0, 0)
    seen, scored = admission_trial(task), Trial.of(task, INSTANCES)
    assert seen.demonstrations == scored.demonstrations
    assert len(seen.instances) == ASKED
    assert not {i.input for i in seen.instances} & {i.input for i in scored.instances}
    (found,) = admit(reader, [task], asked=4)
    assert found.admitted == (BAND[0] <= found.icl <= BAND[1])


def test_the_bundled_model_is_measured(reader: Reader) -> None:
    trial = Trial.of(draw_task("development", 0, 0), 8)
    labels = trial.task.rule.labels
    scores = measure_plain(reader, trial)
    assert scores == measure_plain(reader, trial)
    assert all(0 <= value <= 100 for value in (scores.zero_shot, scores.given, scores.neutral))
    assert set(calibrated(reader, trial)) <= set(labels)
    likely = reader.likelihoods(asked(trial.task.instruction, trial.demonstrations, trial.instances), labels)
    assert likely.shape == (8, len(labels)) and (likely < 0).all()
    assert 0 <= label_right(reader, trial) <= 100


def test_the_ceiling_trains_on_new_inputs_with_true_outputs(reader: Reader) -> None:
    trial = Trial.of(draw_task("development", 0, 0), 8)
    pairs = oracle_pairs(reader, trial, 0)
    assert pairs
    shown = {e.input for e in (*trial.demonstrations, *trial.instances)}
    assert all(trial.task.truth(p.input) == p.output and p.input not in shown for p in pairs)
    assert len({p.input for p in pairs}) == len(pairs)
