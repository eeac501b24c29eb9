"""What each round of the loop trains on, diagnoses and extrapolates, on a scripted model."""

import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.config.loop import DiagnoseConfig, LoopConfig
from selfguide.core.console import Terminal
from selfguide.core.types import Example
from selfguide.methods.loop.influence import held_out, helpful, influence_of_rows
from selfguide.methods.student import Student
from selfguide.models.base import ScoreRequest, Weights
from selfguide.models.session import Session
from selfguide.tasks.load import load_task
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.methods.running import TOKENIZER, Ran, scripted
from tests.methods.test_loop import SMALL, gold, writer
from tests.tiny_task import smoke, write_task


def added_by_round(ran: Ran, number: int) -> list[dict[str, Any]]:
    return [row for row in ran.rows("candidates") if row["round"] == number]


def test_trained_on_additions_alone_the_first_student_still_learns_from_the_seed_data(tmp_path: Path) -> None:
    ran = scripted(tmp_path, writer, "method=s3", *SMALL, "method.compose.train_on=added", "method.loop.rounds=2")
    # What the last student does not learn from is marked so.
    kept = [sum(row["dropped"] in (None, "composition") for row in added_by_round(ran, number)) for number in range(3)]
    assert min(kept) > 0
    assert [notes["rows"] for notes in ran.rounds] == [kept[0], kept[1], kept[1] + kept[2]]
    assert {row["input"] for row in ran.rows("dataset")} == {
        row["input"] for number in (1, 2) for row in added_by_round(ran, number) if row["dropped"] is None
    }


@pytest.mark.parametrize("below", [1.0, 0.01])
def test_an_error_scores_less_than_the_limit(below: float, tmp_path: Path) -> None:
    ran = scripted(tmp_path, writer, "method=s3", *SMALL, f"method.diagnose.wrong_below={below}")
    validation, _ = gold(tmp_path)
    assert 0 < ran.rounds[0]["errors"] == sum("blue" in text for text in validation) < len(validation)


def test_another_round_draws_other_exemplars(tmp_path: Path) -> None:
    few = ("method.diagnose.match_errors=false", "method.diagnose.max_exemplars=4", "method.loop.rounds=3")
    ran = scripted(tmp_path, writer, "method=goldgen", *SMALL, *few)
    chosen = [{row["exemplar"] for row in added_by_round(ran, number)} for number in (1, 2, 3)]
    assert [len(texts) for texts in chosen] == [4, 4, 4]
    assert all(one != other for one, other in itertools.combinations(chosen, 2))


def test_a_demonstration_is_diagnosed_without_itself_in_its_prompt(tmp_path: Path) -> None:
    seeds = ("method.initial_data.source=demonstrations", "method.diagnose.source=initial")
    ran = scripted(tmp_path, writer, "method=s3", *seeds, "method.attributes.kind=none")
    task = json.loads((tmp_path / "shade.json").read_text())
    for shown in task["examples"]:
        [prompt] = [p for p in ran.engine.prompts if p.endswith(f"Input: {shown['input']}\nOutput:")]
        assert prompt.count(f"Input: {shown['input']}\n") == 1
        assert all(f"Input: {other['input']}\n" in prompt for other in task["examples"])


def disagreeing(prompt: str, seed: int, sample: int) -> str:
    """Numbered inputs; the samples of every third one disagree."""
    if not prompt.endswith("Output:"):
        return f"Eva has the hat number {seed % 100000}."
    number = prompt.rsplit("number ", 1)
    return "dark" if len(number) == 2 and int(number[1].split(".")[0]) % 3 == 0 and sample % 2 else "light"


def test_an_input_without_agreement_is_extrapolated_once(tmp_path: Path) -> None:
    more = ("method.loop.rounds=3", "method.propose.attempts=1", "annotation.samples=4", "annotation.best_of=4")
    ran = scripted(tmp_path, disagreeing, "method=selfguide_extrapolate", *more)
    parents = [[row["parent"] for row in added_by_round(ran, number)] for number in (1, 2, 3)]
    assert parents[0]
    assert len(set(itertools.chain(*parents))) == len(list(itertools.chain(*parents))), "each once, over all rounds"
    inputs = {row["id"]: row["input"] for row in ran.rows("candidates")}
    assert all(int(inputs[parent].split("number ")[1][:-1]) % 3 == 0 for parent in itertools.chain(*parents))


def test_the_last_student_learns_from_all_rows(tmp_path: Path) -> None:
    """The others leave out the rows that judge them."""
    small = ("method.attributes.kind=none", "method.initial_data.items=20", "method.propose.feedback.start=10")
    small += ("method.diagnose.score_above=null", "student.encoder.epochs=1", "method.diagnose.held_out_share=0.2")
    small += ("method.filter.min_words=0", "filters.input_length=off")
    ran = scripted(tmp_path, writer, "method=progen", "student=encoder_scratch", *small, loop=False)
    specs = [
        json.loads((tmp_path / "store-run" / key / "spec.json").read_text())
        for name, key in ran.result["keys"].items()
        if name.startswith("training")
    ]
    assert sorted(len(spec["validation"]) for spec in specs) == [0, 2]
    assert sorted(len(spec["pairs"]) for spec in specs) == [8, 20]


PAIRS = [Example(f"row {number}", ("yes", "no")[number % 2]) for number in range(60)]


def diagnosis(**changes: Any) -> DiagnoseConfig:
    method = run_config("task=sni", "task.id=task1", "method=progen").method
    assert isinstance(method, LoopConfig)
    return replace(method.diagnose, **changes)


def test_from_enough_rows_on_the_same_ones_judge_every_round() -> None:
    config = diagnosis(held_out=6, held_out_from=30, held_out_share=0.1)
    judges = {count: held_out(PAIRS[:count], config, 1)[1] for count in (29, 30, 45, 60)}
    assert [len(judges[count]) for count in judges] == [3, 6, 6, 6]
    assert judges[30] == judges[45] == judges[60]
    for count, chosen in judges.items():
        train = held_out(PAIRS[:count], config, 1)[0]
        assert sorted([*train, *chosen], key=PAIRS.index) == PAIRS[:count]


def test_the_most_helpful_rows_of_each_label() -> None:
    """Helpful is negative: zero is not, and of equals the first."""
    scores = [0.0, -1.0, -3.0, -1.0, 2.0, 0.0, -1.0, -2.0]
    assert helpful(PAIRS[:8], scores, ("yes", "no"), 2) == {
        "yes": (PAIRS[2], PAIRS[6]),
        "no": (PAIRS[7], PAIRS[1]),
    }
    assert helpful(PAIRS[:4], None, (), 1) == {"": tuple(PAIRS[:4])}
    assert helpful(PAIRS[:4], [-1.0, 1.0, 0.0, 0.0], ("yes", "no"), 9) == {"yes": (PAIRS[0],), "no": ()}


class Listening(ScriptedEngine):
    """Keeps which weights were asked to score."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        self.scored = {request.weights and request.weights.name for request in requests}
        return super().score(requests)


@pytest.mark.parametrize(("epoch", "expected"), [(1, "a"), (2, "b"), (3, "c"), (9, "c")])
def test_rows_are_scored_by_the_epoch_that_answers(epoch: int, expected: str, tmp_path: Path) -> None:
    epochs = (f"finetuning.max_epochs={max(epoch, 3)}", f"finetuning.epochs={epoch}")
    config = run_config(*smoke(write_task(tmp_path), tmp_path / "store"), *epochs)
    task, _ = load_task(config.task, config.data, config.seed)
    engine = Listening(TOKENIZER.decode, lambda *_: "x", likelihood=lambda prompt: -3.0 if "row 1" in prompt else -1.0)
    student = Student(tuple(Weights(name, tmp_path) for name in "abc"), None, ())
    with Session(config, task, Terminal(Console(file=io.StringIO())), None, engine) as session:
        scores = influence_of_rows(session, student, PAIRS[:3], (), 0)
    assert engine.scored == {expected}
    assert scores == pytest.approx([1 - 5 / 3, 3 - 5 / 3, 1 - 5 / 3]), "losses, from their mean"
