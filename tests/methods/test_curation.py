"""Curation: what is dropped for which figures, and the stage on a model that prefers some answers."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.config.curation import CurationConfig
from selfguide.core.console import Terminal
from selfguide.core.errors import ConfigError
from selfguide.core.files import read_jsonl
from selfguide.core.types import Example
from selfguide.methods.curation import curate, curated, judge
from selfguide.methods.result import MethodResult
from selfguide.methods.student import train_student
from selfguide.models.base import ScoreRequest
from selfguide.models.session import Session
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.curation import Quality, reasons_to_drop
from selfguide.tasks.load import load_task
from selfguide.testing.scripted import ScriptedEngine
from selfguide.training.stages import PAIRS
from tests.composing import run_config
from tests.methods.running import TOKENIZER, scripted
from tests.tiny_task import smoke, write_task


def settings(**more: object) -> CurationConfig:
    values = {
        "kind": "confidence",
        "drop_share": 0.0,
        "min_confidence": None,
        "within_labels": True,
        "judged_by": "halves",
        "correct": False,
        "hard_confidence": 0.3,
        "hard_variability": 0.1,
        **more,
    }
    return CurationConfig(**values)  # type: ignore[arg-type]


def pairs(outputs: str) -> list[Example]:
    return [Example(f"input {place}", output) for place, output in enumerate(outputs)]


def test_quality_is_a_probability_and_its_spread() -> None:
    quality = Quality.of_losses([math.log(2), math.log(4), None])
    assert quality is not None
    assert (quality.confidence, quality.variability) == pytest.approx((0.375, 0.125))
    assert Quality.of_losses([None]) is None


def test_the_lowest_share_goes_of_each_label() -> None:
    figures = [Quality(value) for value in (0.9, 0.8, 0.7, 0.6, 0.2, 0.1)]
    rows = pairs("aaaabb")
    within = reasons_to_drop(rows, figures, ("a", "b"), settings(drop_share=0.5))
    assert [place for place, reason in enumerate(within) if reason] == [2, 3, 5]
    across = reasons_to_drop(rows, figures, ("a", "b"), settings(drop_share=0.5, within_labels=False))
    assert [place for place, reason in enumerate(across) if reason] == [3, 4, 5]
    assert set(within) - {None} == {"least_confident"}


def test_a_tie_drops_the_later_row() -> None:
    figures = [Quality(0.5)] * 4
    assert reasons_to_drop(pairs("aaaa"), figures, (), settings(drop_share=0.25)) == [None] * 3 + ["least_confident"]


def test_a_bound_and_rows_too_long_to_score() -> None:
    figures = [Quality(0.5), Quality(0.49), None]
    assert reasons_to_drop(pairs("aaa"), figures, (), settings(min_confidence=0.5)) == [
        None,
        "low_confidence",
        "too_long",
    ]


def test_dynamics_keep_what_is_being_learned() -> None:
    never, learning, known = Quality(0.2, 0.05), Quality(0.2, 0.2), Quality(0.9, 0.0)
    reasons = reasons_to_drop(pairs("aaa"), [never, learning, known], (), settings(kind="dynamics"))
    assert reasons == ["never_learned", None, None]
    assert reasons_to_drop(pairs("aaa"), [never, learning, known], (), settings()) == [None] * 3


class Believing(ScriptedEngine):
    """Finds outputs with more tokens less likely for each token."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        self.batches.append(len(requests))
        self.tokens.calls += len(requests)
        return [(-float(len(r.completion_ids)),) * len(r.completion_ids) for r in requests]


def session_of(folder: Path, engine: ScriptedEngine, *overrides: str) -> Session:
    config = run_config(*smoke(write_task(folder), folder / "store", *overrides))
    task, _ = load_task(config.task, config.data, config.seed)
    return Session(config, task, Terminal(Console(file=io.StringIO())), engine=engine)


def test_the_stage_asks_once_and_choosing_again_is_free(tmp_path: Path) -> None:
    rows = [Example("The red ball.", "red"), Example("The blue hat.", "a very long answer, that nobody believes")]
    rows += [Example("The blue car.", "blue"), Example("x " * 5000, "red")]
    engine = Believing(TOKENIZER.decode, lambda *_: "")
    more = ("curation=confidence", "curation.drop_share=0.4")
    with session_of(tmp_path, engine, *more) as session:
        kept = curate(session, rows).pairs
        assert kept == (rows[0], rows[2])
        figures = list(read_jsonl(judge(session, rows, "curation").stored.path / "curation.jsonl"))
        assert [row["dropped"] for row in figures] == [None, "least_confident", None, "too_long"]
        assert figures[1]["confidence"] < figures[0]["confidence"]
    asked = len(engine.batches)
    assert asked == 1
    with session_of(tmp_path, engine, "curation=confidence", "curation.drop_share=0.0") as session:
        assert curate(session, rows).pairs == tuple(rows[:3])
    with session_of(tmp_path, engine) as session:
        assert curate(session, rows).pairs == tuple(rows)
    assert len(engine.batches) == asked


def test_gold_and_demonstrations_are_not_curated(tmp_path: Path) -> None:
    given = [Example("The gold ring.", "a very long answer, that nobody believes"), Example("The sky.", "blue")]
    made = [Example("The red ball.", "red"), Example("The hat.", "an answer that is long, too")]
    engine = Believing(TOKENIZER.decode, lambda *_: "")
    with session_of(tmp_path, engine, "curation=confidence", "curation.drop_share=0.5") as session:
        assert curated(session, given, given, "all_gold").pairs == tuple(given)
        assert not engine.batches, "nothing to score"
        assert curated(session, [given[0], *made, given[1]], given, "mixed").pairs == (given[0], made[0], given[1])
        assert engine.batches == [2]


def test_self_icl_shows_what_curation_leaves(tmp_path: Path) -> None:
    def answer(prompt: str, seed: int, sample: int) -> str:
        return "red" if prompt.endswith("Output:") else f"Eva has the red ball number {seed % 100000}."

    plain = scripted(tmp_path, answer, "method=self_icl", loop=False, classification=False, name="plain")
    more = ("method=self_icl", "curation=confidence", "curation.drop_share=0.5")
    ran = scripted(tmp_path, answer, *more, loop=False, classification=False)
    counts, before = ran.result["counts"], plain.result["counts"]
    made = ran.result["diagnostics"]["pairs_made"]
    assert ran.result["drops"]["outputs"]["curated"] == made // 2 > 0
    assert before["train"] > counts["train"] == counts["synthetic"] == len(ran.rows("dataset"))
    shown = [row["input"] for row in ran.rows("candidates") if row["dropped"] is None]
    assert sorted(shown) == sorted(row["input"] for row in ran.rows("dataset"))


def test_dynamics_score_every_epoch_of_a_real_training(tmp_path: Path) -> None:
    config = run_config(*smoke(write_task(tmp_path), tmp_path / "store", "curation=dynamics"))
    task, _ = load_task(config.task, config.data, config.seed)
    rows = [Example(f"Tom saw the {color} hat.", color) for color in ("red", "blue", "green", "black")] * 2
    rows.append(Example("Tom saw the white hat.", "zebra crossing number nine"))
    with Session(config, task, Terminal(Console(file=io.StringIO()))) as session:
        kept = curate(session, rows).pairs
        figures = list(read_jsonl(judge(session, rows, "curation").stored.path / "curation.jsonl"))
        stages = session.log.stages
        halves = [{row["input"] for row in read_jsonl(stages[f"curation_training_{n}"].path / PAIRS)} for n in (1, 2)]
        calls = sum(stages[f"curation_scores_{n}"].info["tokens"]["calls"] for n in (1, 2))
        assert calls == 2 * len(rows), "each row by both epochs of the training on the other half"
        assert not halves[0] & halves[1] and halves[0] | halves[1] == {row.input for row in rows}
    assert figures[-1]["confidence"] == min(row["confidence"] for row in figures)
    assert all(row["variability"] > 0 for row in figures)
    assert rows[-1] not in kept


def test_dynamics_need_a_training(tmp_path: Path) -> None:
    engine = Believing(TOKENIZER.decode, lambda *_: "")
    with (
        session_of(tmp_path, engine, "curation=dynamics", "finetuning=none") as session,
        pytest.raises(ConfigError, match=r"curation\.kind"),
    ):
        curate(session, [Example("a", "b")])


def test_curated_llm_judges_with_a_model_of_the_demonstrations(tmp_path: Path) -> None:
    config = run_config(*smoke(write_task(tmp_path), tmp_path / "store", "curation=curated_llm"))
    task, _ = load_task(config.task, config.data, config.seed)
    with Session(config, task, Terminal(Console(file=io.StringIO()))) as session:
        curate(session, [Example("The red ball.", "red"), Example("The blue hat.", "blue")])
        trained = list(read_jsonl(session.log.stages["curation_training"].path / PAIRS))
    assert {row["input"] for row in trained} == {shown.input for shown in task.demonstrations}


class Correcting(Believing):
    """Doubts "purple", a little less whatever the bike is, and nothing else; answers every input with "blue"."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        return [(self.logprob(request),) * len(request.completion_ids) for request in requests]

    def logprob(self, request: ScoreRequest) -> float:
        if TOKENIZER.decode(request.completion_ids).strip() == "purple":
            return -5.0
        return -3.0 if "bike" in TOKENIZER.decode(request.prompt_ids).rsplit("Input:", 1)[1] else -0.1


def test_a_doubtful_answer_is_corrected_and_the_run_says_what_it_trained_on(tmp_path: Path) -> None:
    rows = [Example(f"Tom saw the {color} hat.", color) for color in ("red", "blue", "green", "black")]
    rows.append(Example("Tom saw the blue car.", "purple"))
    more = ("curation=clear", "evaluation.canary=false", "finetuning.max_epochs=1", "finetuning.epochs=1")
    with session_of(tmp_path, Correcting(TOKENIZER.decode, lambda *_: "blue"), *more) as session:
        student = train_student(session, rows)
        bike = Example("Tom saw the red bike.", "purple")
        unsure = curate(session, [*rows[:-1], bike], "unsure")
    assert (unsure.corrected, unsure.pairs) == ({}, tuple(rows[:-1])), (
        "likelier than purple, but less than what is kept"
    )
    right = Example("Tom saw the blue car.", "blue")
    assert student.corrected == {rows[-1]: right}
    assert set(student.rows) >= {*rows[:-1], right} and rows[-1] not in student.rows
    made = [Candidate(str(n), 0, row.input, output=row.output) for n, row in enumerate(rows)]
    result = student.answers_for(MethodResult(candidates=tuple(made), pairs=tuple(rows)), 1)
    assert result.pairs == (*rows[:-1], right)
    assert [(c.output, c.dropped) for c in result.candidates][-1] == ("blue", None)
