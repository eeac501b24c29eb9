"""A judge as a filter: what it is asked, its threshold, what becomes of a pair, and its agreement with the vote."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.types import Example, TaskSpec
from selfguide.methods.curation import curate
from selfguide.methods.judging import rate
from selfguide.methods.self_icl import run as self_icl
from selfguide.models.base import Completion, Progress, Request, ScoreRequest
from selfguide.models.session import LanguageModel, Session
from selfguide.synthesis.verdicts import agreement, calibrated, contrasts
from selfguide.tasks.load import load_task
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.methods.running import TOKENIZER
from tests.methods.test_curation import session_of

JUDGE = ("curation=judge", "finetuning=none")


def colour_of(text: str) -> str:
    return text.split(" the ")[1].split()[0]


class Judging(ScriptedEngine):
    """Says "yes" of the right colour with this certainty, "no" of any other; answers an input with its colour."""

    certainty = 0.9

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        found = []
        for request in requests:
            asked = self._decode(request.prompt_ids).rsplit("Input:", 1)[1]
            text, given = asked.rsplit("\nOutput:", 1)[0].rsplit("\nAnswer: ", 1)
            agrees = (given.strip() == colour_of(text)) is ("yes" in self._decode(request.completion_ids))
            found.append((math.log(self.certainty if agrees else 1 - self.certainty),))
        self.tokens.calls += len(requests)
        return found


def judging(folder: Path, *overrides: str, certainty: float = 0.9) -> Session:
    folder = folder / f"certainty-{certainty}"
    folder.mkdir()

    def answer(prompt: str, seed: int, sample: int) -> str:
        colour = ("red", "blue", "green")[seed % 3]
        if not prompt.endswith("Output:"):
            return f"Eva has the {colour} pen number {seed % 100000}."
        asked = colour_of(prompt.rsplit("Input:", 1)[1])
        # Of red things three of four samples are right, of the others two, and "mauve" is elected of green ones.
        return asked if sample < {"red": 3, "blue": 2, "green": 1}[asked] else "mauve"

    engine = Judging(TOKENIZER.decode, answer)
    engine.certainty = certainty
    return session_of(folder, engine, *JUDGE, *overrides)


RIGHT = [Example(f"Tom saw the {colour} hat.", colour) for colour in ("red", "blue", "green")]
WRONG = [Example(f"Tom saw the {colour} car.", "mauve") for colour in ("red", "blue", "green")]


@pytest.mark.parametrize("certainty", [0.9, 0.52])
def test_a_judge_keeps_what_it_finds_right_however_sure_it_is(certainty: float, tmp_path: Path) -> None:
    """The threshold comes from the demonstrations, so a timid judge is as good as a bold one."""
    with judging(tmp_path, certainty=certainty) as session:
        made = curate(session, [*RIGHT, *WRONG])
    assert made.pairs == tuple(RIGHT) and made.verdicts is not None
    assert (made.verdicts.accuracy, made.verdicts.threshold) == (1.0, pytest.approx(0.5))


def test_a_threshold_that_is_set_is_taken_and_a_judge_that_knows_nothing_drops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with judging(tmp_path, "curation.min_confidence=0.05") as session:
        assert curate(session, [*RIGHT, *WRONG]).pairs == (*RIGHT, *WRONG)
    with judging(tmp_path, certainty=0.5) as session:
        assert curate(session, [*RIGHT, *WRONG]).pairs == (*RIGHT, *WRONG)
    assert "curation.kind=judge drops nothing" in caplog.text


def test_a_threshold_of_zero_drops_nothing(tmp_path: Path) -> None:
    with judging(tmp_path, "curation.min_confidence=0.0") as session:
        made = curate(session, [*RIGHT, *WRONG])
    assert made.pairs == (*RIGHT, *WRONG) and made.verdicts is not None and made.verdicts.threshold == 0


def test_the_result_reports_the_agreement_with_the_vote(tmp_path: Path) -> None:
    more = ("method=self_icl", "annotation.samples=4", "annotation.best_of=4", "annotation.min_share=0.5")
    with judging(tmp_path, *more) as session:
        result = self_icl(session)
    said = result.diagnostics["judge"]
    assert {"mauve"} == {c.output for c in result.candidates if c.dropped == "curated"}
    assert said["rejected"] > 0 and said["rated"] > said["rejected"]
    assert 0 <= said["agreement"] <= 1 and said["share_of_kept"] > 0
    assert all(pair.output == colour_of(pair.input) for pair in result.pairs)


def test_a_demonstration_is_judged_behind_the_others_alone(tmp_path: Path) -> None:
    with judging(tmp_path) as session:
        seen: list[str] = []
        ask = session.engine.score
        session.engine.score = lambda requests: (  # type: ignore[method-assign]
            seen.extend(TOKENIZER.decode(request.prompt_ids) for request in requests),
            ask(requests),
        )[1]
        rate(session, RIGHT, "ratings")
        shown = [(demonstration.input, contrast) for demonstration, contrast in
                 zip(session.task.demonstrations, contrasts(session.task, 0), strict=True)]  # fmt: skip
    assert len(seen) == 2 * (2 * len(shown) + len(RIGHT))
    for text, contrast in shown:
        assert contrast is not None and contrast.output != colour_of(text)
        own = [prompt for prompt in seen if prompt.rsplit("Input: ", 1)[1].startswith(text)]
        assert len(own) == 4 and all(prompt.count(text) == 1 for prompt in own)


def test_the_threshold_is_between_right_and_wrong_and_drops_nothing_without_a_difference() -> None:
    assert calibrated([(0.6, True), (0.5, True), (0.4, False), (0.1, False)]) == (pytest.approx(0.45), 1.0)
    assert calibrated([(0.5, True), (0.5, False)]) == (0.0, 0.5)
    assert calibrated([(0.1, True), (0.9, False)]) == (0.0, 0.5)
    assert calibrated([(0.9, True)]) == (0.0, None)


def test_of_thresholds_that_are_as_good_the_lowest_is_taken() -> None:
    assert calibrated([(0.9, True), (0.7, False), (0.5, True), (0.1, False)]) == (pytest.approx(0.3), 0.75)


def test_agreement_counts_pairs_of_rows_in_the_same_order() -> None:
    assert agreement([(0.2, 0.1), (0.5, 0.4), (0.9, 0.8)]) == 1.0
    assert agreement([(0.2, 0.8), (0.5, 0.4), (0.9, 0.1)]) == 0.0
    assert agreement([(0.2, 0.5), (0.9, 0.5)]) == 0.5
    assert agreement([(0.5, 0.1), (0.5, 0.9)]) is None


def test_a_task_whose_demonstrations_have_one_answer_has_no_wrong_ones() -> None:
    task = TaskSpec("t", "generation", "?", (Example("a", "Yes."), Example("b", "yes")))
    assert contrasts(task, 0) == [None, None]


def test_a_server_without_probabilities_is_asked_for_its_word(tmp_path: Path) -> None:
    class Server(ScriptedEngine):
        def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
            asked = [request.turns[-1].text.rsplit("\nAnswer: ", 1) for request in requests]
            words = ["**Yes**, it is." if given == colour_of(text) else "No." for text, given in asked]
            return [[Completion(word, (), 0.0, "stop")] for word in words]

    served = ("teacher=chat", "teacher.model.path=some-model", "teacher.engine.base_url=http://localhost:1/v1")
    with session_of(tmp_path, Server(TOKENIZER.decode, lambda *_: ""), *JUDGE, *served) as session:
        session.teacher = LanguageModel(session.teacher.config, session.engine)
        verdicts = rate(session, [*RIGHT, *WRONG], "ratings")
    assert [verdicts.ratings[pair] for pair in (*RIGHT, *WRONG)] == [1.0] * 3 + [0.0] * 3
    assert (verdicts.threshold, verdicts.accuracy) == (0.5, 1.0)


def test_the_bundled_model_cannot_judge_and_so_drops_nothing(tmp_path: Path) -> None:
    """No effect at this size, and the run says so: on its demonstrations it is no better than chance."""
    config = run_config("task=micro_barn_or_garage", f"store.root={tmp_path}", "curation=judge")
    task, _ = load_task(config.task, config.data, config.seed)
    rows = [Example(f"Where do I find the {thing}?", label) for thing in ("cow", "car") for label in task.labels]
    with Session(config, task, Terminal(Console(file=io.StringIO()))) as session:
        made = curate(session, rows)
    assert made.pairs == tuple(rows) and made.verdicts is not None
    assert (made.verdicts.threshold, made.verdicts.accuracy) == (0.0, 0.5)
    assert len(set(made.verdicts.ratings.values())) > 1
