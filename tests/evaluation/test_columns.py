"""Label columns: other ways to read a label, on the bundled model, beside a headline that does not move."""

from dataclasses import replace
from pathlib import Path

import pytest

from selfguide.core.console import Terminal
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.evaluation.columns import COLUMNS, label_columns, metric_columns
from selfguide.evaluation.evaluate import evaluate, scored
from selfguide.evaluation.predict import BASE, Prediction
from selfguide.models.base import ScoreRequest
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.session import Session
from selfguide.prompts.selfguide import answer_prompt
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config

SHOTS = (Example("The cup is red.", "yes"), Example("It is late.", "no"))
TASK = TaskSpec("toy", "classification", "Is a colour named? yes or no.", SHOTS, ("yes", "no", "not sure"))
INSTANCES = [Instance(str(i), f"The {thing} is blue.", ("yes",)) for i, thing in enumerate(("hat", "old car", "sea"))]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    config = run_config("task=task1516", "evaluation.label_scoring=true", f"store.root={tmp_path}")
    return Session(config, TASK, Terminal())


def test_every_column_answers_with_labels(session: Session) -> None:
    with session:
        columns = label_columns(session, INSTANCES, {"few_shot_icl": BASE})
        assert tuple(columns) == COLUMNS
        for column in COLUMNS:
            evaluated = columns[column]["few_shot_icl"]
            assert len(evaluated.predictions) == len(INSTANCES)
            assert all(prediction.text in TASK.labels for prediction in evaluated.predictions)
        likeliest = columns["label_scoring"]["few_shot_icl"].predictions
        for instance, prediction in zip(INSTANCES, likeliest, strict=True):
            ids = session.tokenizer.encode_prompt(answer_prompt(TASK, instance.input))
            scores = session.engine.score(
                [ScoreRequest(ids, session.tokenizer.encode_answer(label)) for label in TASK.labels]
            )
            totals = [sum(score) for score in scores]
            assert prediction.text == TASK.labels[totals.index(max(totals))]


def test_a_second_look_costs_no_model_call(session: Session) -> None:
    with session:
        first = label_columns(session, INSTANCES, {"few_shot_icl": BASE})
        spent = session.engine.tokens.copy()
        assert label_columns(session, INSTANCES, {"few_shot_icl": BASE}) == first
        assert session.engine.tokens == spent


def test_the_headline_may_be_restricted_to_the_labels(tmp_path: Path) -> None:
    headlines = {}
    for decoding in ("free", "constrained"):
        config = run_config("task=task1516", f"evaluation.decoding={decoding}", f"store.root={tmp_path}")
        with Session(config, TASK, Terminal()) as session:
            found = evaluate(session, "baseline", INSTANCES, {"few_shot_icl": BASE})["few_shot_icl"]
            column = label_columns(session, INSTANCES, {"few_shot_icl": BASE})
        headlines[decoding] = (session.log.stages["baseline"].key, [one.text for one in found.predictions])
        assert column == {}
    assert headlines["free"][0] != headlines["constrained"][0], "answers of their own"
    assert set(headlines["constrained"][1]) <= set(TASK.labels)


def read(labels: tuple[str, ...], room: int, folder: Path) -> dict[str, list[str]]:
    """Both columns of an engine whose every token costs 1 nat, with so much context behind the prompts."""
    config = run_config("task=task1516", "evaluation.label_scoring=true", f"store.root={folder}")
    tokenizer = load_prompt_tokenizer(config.model)
    longest = max(len(tokenizer.encode_prompt(answer_prompt(TASK, row.input))) for row in INSTANCES)
    engine = ScriptedEngine(tokenizer.decode, lambda *_: labels[0], longest + room, likelihood=lambda _: -1.0)
    with Session(config, replace(TASK, labels=labels), Terminal(), None, engine) as session:
        columns = label_columns(session, INSTANCES, {"few_shot_icl": BASE})
    return {name: [p.text for p in column["few_shot_icl"].predictions] for name, column in columns.items()}


def test_the_likeliest_label_is_that_of_the_whole_sequence(tmp_path: Path) -> None:
    """A long label is not helped by the mean of its tokens."""
    assert read(("not at all sure", "yes"), 100, tmp_path)["label_scoring"] == ["yes"] * 3
    assert read(("yes", "not at all sure"), 100, tmp_path)["label_scoring"] == ["yes"] * 3


def test_an_instance_is_answered_if_its_prompt_leaves_room_for_the_longest_label(tmp_path: Path) -> None:
    labels = ("yes", "not at all sure")
    tokenizer = load_prompt_tokenizer(run_config("task=task1516").model)
    needed = max(len(tokenizer.encode_answer(label)) for label in labels)
    longest = max(INSTANCES, key=lambda row: len(tokenizer.encode_prompt(answer_prompt(TASK, row.input))))
    for room in (needed, needed - 1):
        expected = ["" if room < needed and row.id == longest.id else "yes" for row in INSTANCES]
        assert read(labels, room, tmp_path / str(room)) == dict.fromkeys(COLUMNS, expected)


def test_nothing_is_added_unless_asked_for(tmp_path: Path) -> None:
    config = run_config("task=task1516", f"store.root={tmp_path}")
    with Session(config, TASK, Terminal()) as session:
        assert label_columns(session, INSTANCES, {"few_shot_icl": BASE}) == {}


def test_both_figures_of_question_answering_are_of_the_same_answers(tmp_path: Path) -> None:
    config = run_config("task=adversarial_qa", f"store.root={tmp_path}").evaluation
    task = TaskSpec("qa", "generation", "Answer.", (Example("a", "b"),), metric="token_f1")
    instances = [Instance(str(i), "q", ("the red hat", "a hat")) for i in range(3)]
    texts = ("Hat.", "red coat", "no")
    headline = scored(task, instances, tuple(Prediction(str(i), text) for i, text in enumerate(texts)), config)
    assert headline.scores == (1.0, 0.5, 0.0)
    variants = metric_columns(task, instances, {"few_shot_icl": headline}, config)["squad_exact"]
    exact = variants["few_shot_icl"]
    assert (exact.scores, exact.predictions) == ((1.0, 0.0, 0.0), headline.predictions)
    assert (exact.score.value, exact.score.n) == (pytest.approx(1 / 3), 3)
    assert exact.score.ci_low < exact.score.value < exact.score.ci_high
    back = metric_columns(replace(task, metric="squad_exact"), instances, variants, config)
    assert back["token_f1"]["few_shot_icl"].scores == headline.scores
    other = metric_columns(replace(task, metric="rouge_l"), instances, variants, config)
    assert set(other) == {"official_exact_match", "official_rouge_l", "reference_rouge_l"}


def test_the_official_and_the_references_columns_read_the_answer_as_they_do() -> None:
    """Official: the answer as it is, all references. Reference: the last substring that is a label of the instances."""
    config = run_config("task=task1516").evaluation
    rows = (("yes", "yes"), ("It is yes.", "yes"), ("no, the eyes", "no"), ("Yes!", "no"), ("not sure", "not sure"))
    instances = [Instance(str(i), "x", (gold,)) for i, (_, gold) in enumerate(rows)]
    headline = scored(TASK, instances, tuple(Prediction(str(i), text) for i, (text, _) in enumerate(rows)), config)
    columns = metric_columns(TASK, instances, {"few_shot_icl": headline}, config)
    scores = {name: variants["few_shot_icl"].scores for name, variants in columns.items()}
    assert headline.scores == (1, 1, 1, 0, 1)
    assert scores["official_exact_match"] == (1, 0, 0, 0, 1)
    assert scores["official_rouge_l"] == pytest.approx((1, 0.5, 0.5, 0, 1))
    # "eyes" holds yes; "not sure" holds no, which the instances name first.
    assert scores["reference_exact_match"] == (1, 1, 0, 0, 0)
    assert set(scores) == {"official_exact_match", "official_rouge_l", "reference_exact_match"}


def test_the_references_rouge_l_counts_characters_of_the_first_accepted_output() -> None:
    task = replace(TASK, family="generation", labels=(), metric="rouge_l")
    instances = [Instance("0", "x", (" abcd ", "xyz")), Instance("1", "x", ("b",))]
    answers = (Prediction("0", "xyz"), Prediction("1", "abc"))
    headline = scored(task, instances, answers, run_config("task=task1345").evaluation)
    columns = metric_columns(task, instances, {"m": headline}, run_config("task=task1345").evaluation)
    assert columns["official_rouge_l"]["m"].scores == headline.scores == (1.0, 0.0)
    assert columns["reference_rouge_l"]["m"].scores == (0.0, 0.5)
