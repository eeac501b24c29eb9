"""What a student was trained on is what the outcome says, without a training."""

import io
import itertools
import json
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.types import Example
from selfguide.evaluation.predict import System
from selfguide.methods.result import MethodResult
from selfguide.methods.student import Student, passes, short_enough, train_student
from selfguide.models.session import Session
from selfguide.synthesis.budget import BudgetReport
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.dataset import marked, still_in
from selfguide.tasks.load import load_task
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

SHOWN = Example("shown", "yes")
GOLD = Example("gold", "no")
MADE = [Example(name, "yes") for name in ("doubted", "long", "over", "used")]
CANDIDATES = (
    *(Candidate(pair.input, 0, pair.input, output=pair.output) for pair in MADE),
    Candidate("bad", 0, "bad", dropped="noise"),
)


def test_pairs_candidates_and_copies_are_those_of_the_training() -> None:
    reasons = {MADE[0]: "curated", MADE[1]: "over_length"}
    student = Student((), None, (GOLD, MADE[3], SHOWN, SHOWN), reasons, BudgetReport("rows", 5, 2, False))
    told = student.answers_for(MethodResult(candidates=CANDIDATES, pairs=(GOLD, *MADE), warnings=("first",)), 1)
    assert told.pairs == (GOLD, MADE[3])
    assert told.demonstration_copies == 2
    assert [c.dropped for c in told.candidates] == ["curated", "over_length", "budget", None, "noise"]
    assert told.warnings == ("first", "budget.rows=5, but there are 2 rows: not on an equal footing")
    assert told.status == "ok" and [c.accepted for c in told.candidates] == [True] * 4 + [False]


def test_rows_that_are_too_long_are_told_apart(tmp_path: Path) -> None:
    config = run_config(*smoke(write_task(tmp_path), tmp_path / "store"))
    task, _ = load_task(config.task, config.data, config.seed)
    rows = [Example("Tom saw the red hat.", "red"), Example("x " * 5000, "red"), Example("A blue car.", "blue")]
    with Session(config, task, Terminal(Console(file=io.StringIO()))) as session:
        assert short_enough(session, rows, leave_one_out=False) == [rows[0], rows[2]]


def test_equal_steps_that_do_not_reach_every_row_say_so(tmp_path: Path) -> None:
    config = run_config(*smoke(write_task(tmp_path), tmp_path / "store", "budget=equal_steps", "budget.steps=2"))
    task, _ = load_task(config.task, config.data, config.seed)
    rows = [Example(f"Hat {number}.", "red") for number in range(5)]
    with Session(config, task, Terminal(Console(file=io.StringIO()))) as session:
        few, many = passes(session, rows, 2), passes(session, rows, 6)
    assert len(still_in(rows, few)) == 4
    assert len(many) == 12 and still_in(rows, many) == tuple(rows)


def test_every_pass_is_in_an_order_of_its_own(tmp_path: Path) -> None:
    orders = []
    for seed in (0, 1):
        more = ("budget=equal_steps", "budget.steps=3", f"seed={seed}")
        config = run_config(*smoke(write_task(tmp_path), tmp_path / "store", *more))
        task, _ = load_task(config.task, config.data, config.seed)
        rows = [Example(f"Hat {number}.", "red") for number in range(8)]
        with Session(config, task, Terminal(Console(file=io.StringIO()))) as session:
            passed = passes(session, rows, 8)
            assert passed == passes(session, rows, 8)
            cut = passes(session, rows, 7)
            assert cut == passed[:21]
        orders += [passed[start : start + 8] for start in (0, 8, 16)]
    assert all(sorted(order, key=rows.index) == rows for order in orders)
    assert all(one != other for one, other in itertools.combinations([rows, *orders], 2))


@pytest.mark.parametrize(("given", "alone"), [(True, True), (False, False)])
def test_a_given_demonstration_that_is_trained_on_does_not_stand_in_its_own_prompt(
    given: bool, alone: bool, tmp_path: Path
) -> None:
    more = ("finetuning.max_epochs=1", "finetuning.epochs=1", "finetuning.added_demonstrations=0")
    config = run_config(*smoke(write_task(tmp_path), tmp_path / "store", *more))
    task, _ = load_task(config.task, config.data, config.seed)
    made, shown = Example("Tom saw the red hat.", "red"), task.demonstrations[0]
    with Session(config, task, Terminal(Console(file=io.StringIO()))) as session:
        student = train_student(session, [made, shown], copies=0, given=[shown] if given else [])
    assert student.training is not None and student.rows == (made, shown)
    spec = json.loads((student.training.path / "spec.json").read_text())
    assert spec["leave_one_out"] is alone


def test_where_no_row_is_left_the_base_model_answers() -> None:
    told = Student((), None, ()).answers_for(MethodResult(candidates=CANDIDATES, pairs=tuple(MADE)), 1)
    assert (told.status, told.pairs, told.system) == ("empty_dataset", (), None)
    assert "left no row" in told.warnings[0]
    assert Student((), None, ()).system(1) == System()


def test_a_row_stands_for_one_candidate() -> None:
    twice = [CANDIDATES[3], CANDIDATES[3]]
    assert [c.dropped for c in marked(twice, MADE[3:], lambda _: "budget")] == [None, "budget"]
    assert [c.dropped for c in marked(twice, MADE[3:] * 3, lambda _: "budget")] == [None, None]
