"""The span student: windows, ends and texts round trip, a training that finds them, and real passages."""

import io
import itertools
import json
import random
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.config.students import SpansConfig
from selfguide.core.console import Terminal
from selfguide.core.errors import ConfigError, TrainingError
from selfguide.core.types import Example
from selfguide.pipeline import run
from selfguide.tasks.metrics import squad_exact
from selfguide.training.encoder.scratch import scratch_encoder
from selfguide.training.encoder.spans import NOWHERE, Reading, Window, answers, best_span, has_span, span_rows, windows
from selfguide.training.encoder.train import EncoderData, train_encoder
from tests.composing import run_config
from tests.encoder.tiny import BAD, FILLER, GOOD, distilbert_folder, encoder_config
from tests.shared_data import shared

SPANS = SpansConfig(stride=4, max_answer=5)
MARK = "\nQuestion:"
PLAIN = Reading(MARK, "Which?", 32, SPANS)


def pair(passage: str, answer: str, question: str = "which?") -> Example:
    return Example(f"Passage: {passage}{MARK} {question}", answer)


def at_ends(window: Window, row_label: tuple[int, int]) -> tuple[list[float], list[float]]:
    """Logits of a model that is sure of these ends."""
    size = len(window.text.ids)
    return [float(i == row_label[0]) for i in range(size)], [float(i == row_label[1]) for i in range(size)]


def recovered(tokenizer: object, row: Example, reading: Reading) -> set[str]:
    """The texts that sure logits give in the windows that hold the answer."""
    found = set()
    for window, target in zip(
        windows(tokenizer, [row.input], reading), span_rows(tokenizer, [row], reading), strict=True
    ):
        assert isinstance(target.label, tuple) and target.text == window.text
        if target.label != NOWHERE:
            best = best_span(*at_ends(window, target.label), window, reading.spans.max_answer)
            assert best is not None
            found.add(reading.parts(row.input)[0][best[1] : best[2]])
    return found


def tokenizer_of(texts: list[str], length: int = 32, vocabulary: int = 100) -> object:
    return scratch_encoder(encoder_config("scratch", max_length=length, vocabulary=vocabulary), (), texts)[1]


@pytest.mark.parametrize(
    ("passage", "answer"),
    [
        ("the baker of Graz sold bread", "Graz"),
        ("it was dug by (tired) soldiers, and later by nobody", "(tired) soldiers"),
        ("Zürich lies on the Limmat – a river", "Zürich"),
        (" ".join(f"word{i}" for i in range(80)) + " then the last one", "the last one"),
        ("one two three one two", "one"),
    ],
)
def test_an_answer_comes_back_to_the_letter(passage: str, answer: str) -> None:
    row = pair(passage, answer)
    assert recovered(tokenizer_of([row.input]), row, PLAIN) == {answer}


def test_long_passages_are_read_in_windows_that_overlap() -> None:
    row = pair(" ".join(f"w{i}" for i in range(60)), "w40")
    tokenizer = tokenizer_of([row.input])
    made = windows(tokenizer, [row.input], PLAIN)
    seen = [sorted({at for at in window.offsets if at is not None}) for window in made]
    assert len(made) > 2 and all(len(window.text.ids) <= 32 for window in made)
    assert seen[0][0][0] == 0 and all(set(a) & set(b) for a, b in itertools.pairwise(seen))
    assert max(at[1] for at in seen[-1]) == len(PLAIN.parts(row.input)[0])
    labels = [row.label for row in span_rows(tokenizer, [row], PLAIN)]
    assert any(label != NOWHERE for label in labels) and any(label == NOWHERE for label in labels)


def test_what_is_no_span_is_no_answer() -> None:
    window = Window(0, windows(tokenizer_of(["a b c"]), ["a b c"], PLAIN)[0].text, (None, (0, 1), (2, 3), (4, 5), None))
    backwards = ([0.0, 0.0, 0.0, 9.0, 0.0], [0.0, 9.0, 1.0, 0.0, 0.0])
    assert best_span(*backwards, window, 5) in ((9.0, 0, 1), (9.0, 4, 5))
    assert best_span([9.0] * 5, [0.0, 0.0, 0.0, 9.0, 0.0], window, 1) == (18.0, 4, 5)
    assert best_span([1.0] * 5, [1.0] * 5, window._replace(offsets=(None,) * 5), 5) is None
    assert has_span(pair("a Cat sat", "cat"), MARK) and not has_span(pair("a cat sat", "dog"), MARK)
    assert not has_span(pair("a cat sat", "which"), MARK), "the question is no part of the passage"


def task_rows(count: int, seed: int) -> list[Example]:
    """Two words stand among others; they are the answer."""
    draw, rows = random.Random(seed), []
    for _ in range(count):
        text, place, answer = draw.choices(FILLER, k=6), draw.randrange(7), f"{draw.choice(GOOD)} {draw.choice(BAD)}"
        rows.append(Example(" ".join([*text[:place], answer, *text[place:]]), answer))
    return rows


def learned(folder: Path, reading: Reading, rows: list[Example]) -> list[str]:
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    return answers(model, AutoTokenizer.from_pretrained(folder), [row.input for row in rows], reading, "cpu")


@pytest.mark.parametrize("path", ["distilbert", "scratch"])
def test_learns_which_span_is_asked_for(path: str, tmp_path: Path) -> None:
    where = str(distilbert_folder(tmp_path / "model")) if path == "distilbert" else path
    config = encoder_config(where, epochs=15, patience=None, learning_rate=0.01, hidden_size=32)
    rows = task_rows(60, 0)
    data = EncoderData((), rows, instruction="which word", spans=SPANS)
    result = train_encoder(config, data, tmp_path / "work", 0, "cpu")
    reading = Reading(None, "which word", 32, SPANS)
    new = task_rows(40, 1)
    found = learned(result.folder, reading, new)
    assert sum(a == row.output for a, row in zip(found, new, strict=True)) >= 36
    assert all(text in row.input for text, row in zip(found, new, strict=True))
    assert result.losses[-1] < result.losses[0]


def test_without_a_span_there_is_nothing_to_learn(tmp_path: Path) -> None:
    data = EncoderData((), [Example("a b", "c")], spans=SPANS)
    with pytest.raises(TrainingError, match="no answer is a span"):
        train_encoder(encoder_config("scratch"), data, tmp_path, 0, "cpu")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["task=rte"], "student.kind: encoder_qa is not allowed with task.family=classification"),
        (
            ["task=adversarial_qa", "student.spans.stride=200"],
            "student.spans.stride: 200 is not",
        ),
        (["task=adversarial_qa", "method=progen"], "method.diagnose.source=influence"),
    ],
)
def test_what_does_not_fit_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        run_config("student=encoder_qa", *overrides)
    assert said in str(error.value)


def test_a_whole_run_copies_spans(tmp_path: Path) -> None:
    run(
        run_config(
            "task=micro_color_word", "student=encoder_qa_scratch", "method=gold_finetune", "method.rows=40",
            "student.encoder.epochs=12", "evaluation.limit=12", "evaluation.max_new_tokens=6",
            "evaluation.controls=false", f"store.root={tmp_path / 'store'}",
        ),
        tmp_path / "run", Terminal(Console(file=io.StringIO())),
    )  # fmt: skip
    rows = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    assert rows and all(row["tuned"] and row["tuned"] in row["input"] for row in rows)
    assert "marks the answer in the passage" in (tmp_path / "run" / "report.html").read_text()


def test_every_real_answer_is_a_span_that_comes_back() -> None:
    lines = shared("neighbours", "adversarial_qa_test_500.jsonl").read_text().splitlines()
    rows = [pair(row["context"], row["answer"], row["question"]) for row in map(json.loads, lines)]
    assert all(has_span(row, MARK) for row in rows)
    tokenizer = tokenizer_of([row.input for row in rows], 384, 20_000)
    reading = Reading(MARK, "", 384, SpansConfig(stride=128, max_answer=30))
    right = sum(any(squad_exact(text, row.output) for text in recovered(tokenizer, row, reading)) for row in rows[:120])
    assert right >= 118  # an answer may begin or end within a word
