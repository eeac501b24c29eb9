"""`conf/task`: the neighbours' data sets through `task=hub`, on rows in the shape that each has on the hub.

The rows are ours; RTE's and AdversarialQA's own are read where the shared folder is.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest
from omegaconf import OmegaConf

from selfguide.config.schema import TaskConfig
from selfguide.config.validate import out_of_range
from selfguide.core.paths import config_dir
from selfguide.core.types import Instance
from selfguide.tasks.context import split_context
from selfguide.tasks.declared_labels import check_labels
from selfguide.tasks.load import load_task
from selfguide.tasks.metrics import score_task
from selfguide.tasks.overlap import OverlapIndex
from selfguide.tasks.raw import normalized
from tests.shared_data import shared
from tests.tasks.configs import data_config

TEXT, NUMBER = datasets.Value("string"), datasets.Value("int64")
POLARITY = {"text": TEXT, "label": datasets.ClassLabel(names=["neg", "pos"])}
PAIR = {"label": datasets.ClassLabel(names=["entailment", "not_entailment"]), "idx": datasets.Value("int32")}
ANSWERS = {"text": datasets.List(TEXT), "answer_start": datasets.List(datasets.Value("int32"))}

# Per preset: the columns as published; one row; the input and the references that it must give.
SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any], str, tuple[str, ...]]] = {
    "imdb": (POLARITY, {"text": "Bad.<br />Really", "label": 0}, "Bad.<br />Really", ("negative",)),
    "sst2": (
        {"idx": NUMBER, "sentence": TEXT, "label": datasets.ClassLabel(names=["negative", "positive"])},
        {"idx": 7, "sentence": "fine ", "label": 1},
        "fine ",
        ("positive",),
    ),
    "rte": (
        {"sentence1": TEXT, "sentence2": TEXT, **PAIR},
        {"sentence1": "It rains.", "sentence2": "It is wet.", "label": 0, "idx": 3},
        "Premise: It rains.\nHypothesis: It is wet.",
        ("entailment",),
    ),
    "qnli": (
        {"question": TEXT, "sentence": TEXT, **PAIR},
        {"question": "How old?", "sentence": "It is red.", "label": 1, "idx": 3},
        "Sentence: It is red.\nQuestion: How old?",
        ("not_entailment",),
    ),
    "adversarial_qa": (
        {"id": TEXT, "title": TEXT, "context": TEXT, "question": TEXT, "answers": ANSWERS},
        {
            "id": "a1",
            "title": "T",
            "context": "Ann met Bo.",
            "question": "Who?",
            "answers": {"text": ["Ann", "Bo"], "answer_start": [0, 8]},
        },
        "Passage: Ann met Bo.\nQuestion: Who?",
        ("Ann", "Bo"),
    ),
    "gsm8k": (
        {"question": TEXT, "answer": TEXT},
        {"question": "2 and 3?", "answer": "2+3=<<2+3=5>>5\n#### 5"},
        "2 and 3?",
        ("2+3=<<2+3=5>>5\n#### 5",),
    ),
    "casehold": (
        {"context": TEXT, "endings": datasets.List(TEXT), "label": datasets.ClassLabel(names=list("01234"))},
        {"context": "See X (<HOLDING>).", "endings": ["h0", "h1", "{h2}", "h3", "h4"], "label": 3},
        "Decision: See X (<HOLDING>).\nA: h0\nB: h1\nC: {h2}\nD: h3\nE: h4",
        ("D",),
    ),
    "snips": ({"text": TEXT, "category": TEXT}, {"text": "play", "category": "PlayMusic"}, "play", ("PlayMusic",)),
    "trec": (
        {"text": TEXT, "label": NUMBER, "label_coarse": NUMBER, "label_coarse_original": TEXT},
        {"text": "Who ?", "label": 9, "label_coarse": 3, "label_coarse_original": "HUM"},
        "Who ?",
        ("human",),
    ),
}

# Class numbers (or codes) of the published data and the texts that stand for them, in this order.
VERBALISERS: dict[str, list[tuple[str, str]]] = {
    "imdb": [("0", "negative"), ("1", "positive")],
    "sst2": [("0", "negative"), ("1", "positive")],
    "rte": [("0", "entailment"), ("1", "not_entailment")],
    "qnli": [("0", "entailment"), ("1", "not_entailment")],
    "casehold": [("0", "A"), ("1", "B"), ("2", "C"), ("3", "D"), ("4", "E")],
    "trec": [
        ("ABBR", "abbreviation"),
        ("ENTY", "entity"),
        ("DESC", "description"),
        ("HUM", "human"),
        ("LOC", "location"),
        ("NUM", "number"),
    ],
    "snips": [
        (intent, intent)
        for intent in (
            "AddToPlaylist",
            "BookRestaurant",
            "GetWeather",
            "PlayMusic",
            "RateBook",
            "SearchCreativeWork",
            "SearchScreeningEvent",
        )
    ],
}
METRICS = {"adversarial_qa": "token_f1", "gsm8k": "numeric_match"}
WITH_CONTEXT = {"rte", "qnli", "adversarial_qa", "casehold"}


def preset(name: str) -> TaskConfig:
    file = OmegaConf.load(config_dir() / "task" / f"{name}.yaml")
    task: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TaskConfig), file))
    return task


def stored(
    name: str, rows: list[dict[str, Any]], folder: Path, train: list[dict[str, Any]] | None = None
) -> TaskConfig:
    """The preset on `rows` (and on `train`, or one of them) in a folder, instead of the hub."""
    task = preset(name)
    assert task.hub.split is not None and task.hub.train_split is not None
    columns = SHAPES[name][0]
    splits = {task.hub.split: rows, task.hub.train_split: rows[:1] if train is None else train}
    tables = {
        split: {column: [row[column] for row in content] for column in columns} for split, content in splits.items()
    }
    saved = {s: datasets.Dataset.from_dict(table, features=datasets.Features(columns)) for s, table in tables.items()}
    datasets.DatasetDict(saved).save_to_disk(folder)
    task.hub.path = str(folder)
    return task


def copies(name: str, count: int = 20) -> list[dict[str, Any]]:
    """The preset's row, with the numbers and ids that a data set has."""
    row = SHAPES[name][1]
    ids = {"idx": lambda i: i, "id": lambda i: f"a{i}"}
    return [{**row, **{key: make(i) for key, make in ids.items() if key in row}} for i in range(count)]


@pytest.mark.parametrize("name", SHAPES)
def test_a_row_becomes_an_instance(name: str, tmp_path: Path) -> None:
    _, _, text, references = SHAPES[name]
    spec, gold = load_task(stored(name, copies(name), tmp_path / "data"), data_config(), 0)
    (first, *_) = gold.open("test")
    assert (gold.count("test"), gold.count("validation")) == (20, 1)
    assert (first.input, first.references) == (text, references)
    assert score_task(spec, references[0], first) == 1.0
    assert score_task(spec, "something else", first) == 0.0


@pytest.mark.parametrize("name", SHAPES)
def test_preset(name: str, tmp_path: Path) -> None:
    task = preset(name)
    assert task.name == name
    assert not list(out_of_range("task.", task))
    assert task.hub.revision is None
    spec, _ = load_task(stored(name, copies(name), tmp_path / "data"), data_config(), 0)
    assert spec.metric == METRICS.get(name, "accuracy")
    assert len(spec.demonstrations) >= 3
    assert len({d.input for d in spec.demonstrations}) == len(spec.demonstrations)
    assert (spec.context_until is not None) == (name in WITH_CONTEXT)
    # A model's answer that repeats a demonstration's is right by the task's own metric.
    for shown in spec.demonstrations:
        assert score_task(spec, shown.output, Instance("0", shown.input, (shown.output,))) == 1.0
    if name not in METRICS and name != "casehold":
        assert {d.output for d in spec.demonstrations} == set(spec.labels)


@pytest.mark.parametrize("name", VERBALISERS)
def test_classes_in_the_order_of_the_published_data(name: str) -> None:
    task = preset(name)
    labels = check_labels(task)
    if name in ("trec", "snips"):  # codes, not numbers: any order will do
        assert task.hub.output_names == dict(VERBALISERS[name])
    else:
        assert list(task.hub.output_names.items()) == VERBALISERS[name]
    assert labels == tuple(text for _, text in VERBALISERS[name])
    assert len(SHAPES) == len(VERBALISERS) + len(METRICS)


def shared_rows(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shared("neighbours", file).read_text().splitlines()]


def rte(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the shared folder as they are on the hub."""
    numbers = {"entailment": 0, "not_entailment": 1}
    return [
        {"sentence1": r["premise"], "sentence2": r["hypothesis"], "label": numbers[r["label"]], "idx": i}
        for i, r in enumerate(rows)
    ]


@pytest.mark.parametrize("name", ["adversarial_qa", "rte"])
def test_published_rows(name: str, tmp_path: Path) -> None:
    file = {"adversarial_qa": "adversarial_qa_test_500.jsonl", "rte": "rte_test.jsonl"}[name]
    rows = shared_rows(file)
    train = None
    if name == "rte":
        made, train = rte(rows), rte(shared_rows("rte_train.jsonl"))
    else:
        made = [
            {**r, "title": "", "answers": {"text": [r["answer"]], "answer_start": [r["answer_start"]]}} for r in rows
        ]
    spec, gold = load_task(stored(name, made, tmp_path / "data", train), data_config(), 0)
    instances = gold.open("test")
    assert len(instances) == gold.counts("test").published == len(rows)
    assert not {d.input for d in spec.demonstrations} & {row.input for row in instances}
    for row in instances:
        parts = split_context(row.input, spec.context_until)
        assert parts is not None
        assert parts.context + parts.target == row.input
        assert parts.context.startswith(("Premise: ", "Passage: "))
        assert score_task(spec, row.references[0], row) == 1.0
    if name == "rte":  # as GLUE's validation split has them
        assert Counter(row.references[0] for row in instances) == {"entailment": 146, "not_entailment": 131}
        assert len(instances) == 277 and gold.counts("validation").published == 2490
        pool = gold.pool(instances)
        assert len(pool) == 2490, "as S3 mines errors on; none is a test pair"
        assert not {normalized(row.input) for row in pool} & {normalized(row.input) for row in instances}


@pytest.mark.parametrize("name", ["adversarial_qa", "rte"])
def test_our_demonstrations_share_no_run_of_words_with_the_published_rows(name: str) -> None:
    texts: list[str] = []
    for path in sorted(shared("neighbours").glob(f"{name}_*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            texts.append(" ".join(str(row.get(key, "")) for key in ("premise", "hypothesis", "context", "question")))
    demonstrations = [shown["input"] for shown in preset(name).demonstrations or ()]
    assert not OverlapIndex(texts, 8).find(demonstrations)
