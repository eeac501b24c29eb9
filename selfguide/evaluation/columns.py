"""Extra columns beside the headline, never in its place: other ways to read a label, other metrics of the same answers.

`constrained`: greedy decoding restricted to the labels. `label_scoring`: the label whose whole
token sequence, end-of-sequence token included, has the highest log-probability. `squad_exact` and
`token_f1`, the two figures of question answering, stand beside one another: the same answers, scored twice.
`official_…` are the two metrics of the official Super-NI evaluation, of the answer as it is: no label is looked for.
`reference_…` is what the reference implementation prints: for classification the last substring that is a label of the
evaluated instances, for generation an F1 of characters.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from selfguide.config.schema import EvaluationConfig
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.types import Instance, TaskSpec
from selfguide.evaluation.evaluate import Evaluated, batched, queries_of, scored
from selfguide.evaluation.predict import Prediction, Query, System, prompt_ids, systems_and_inputs
from selfguide.models.base import Request, Sampling, ScoreRequest, Weights
from selfguide.models.session import LanguageModel, Session
from selfguide.store import Stage, StoredStage, Workspace, keyed

Prompted = tuple[tuple[int, ...], Weights | None]
COLUMNS = ("constrained", "label_scoring")
SIBLINGS: Mapping[str, str] = {"token_f1": "squad_exact", "squad_exact": "token_f1"}


def metric_columns(
    task: TaskSpec, instances: Sequence[Instance], systems: Mapping[str, Evaluated], config: EvaluationConfig
) -> dict[str, dict[str, Evaluated]]:
    """[column][system] with the answers that `systems` gave: `official_…`, `reference_…`, the metric's sibling."""
    whole = replace(task, labels=())
    first = [replace(row, references=(row.references[0].strip(),)) for row in instances]
    columns = {
        "official_exact_match": (replace(whole, metric="exact_match"), instances),
        "official_rouge_l": (replace(whole, metric="rouge_l"), instances),
        reference_column(task): (_as_reference(task, first), first),
    }
    if task.metric in SIBLINGS:
        columns[SIBLINGS[task.metric]] = (replace(task, metric=SIBLINGS[task.metric]), instances)
    return {
        column: {name: scored(other, rows, evaluated.predictions, config) for name, evaluated in systems.items()}
        for column, (other, rows) in columns.items()
    }


def official_column(task: TaskSpec) -> str:
    """The official metric of the task's family."""
    return "official_exact_match" if task.is_classification else "official_rouge_l"


def reference_column(task: TaskSpec) -> str:
    """What the reference implementation calls the metric of the task's family."""
    return "reference_exact_match" if task.is_classification else "reference_rouge_l"


def _as_reference(task: TaskSpec, instances: Sequence[Instance]) -> TaskSpec:
    if not task.is_classification:
        return replace(task, metric="rouge_l_char")
    labels = tuple(dict.fromkeys(row.references[0] for row in instances))
    return replace(task, metric="exact_match", labels=labels, label_extraction="reference")


@dataclass(frozen=True)
class ReadLabels(Stage[dict[str, list[Prediction]]]):
    """[column][query]: the label that the system gives to the instance, by the column's way; greedy, so no seed."""

    kind: ClassVar[str] = "columns"
    version: ClassVar[int] = 1

    model: LanguageModel
    task: TaskSpec
    queries: tuple[Query, ...] = field(metadata=keyed(systems_and_inputs))

    def build(self, work: Workspace) -> dict[str, Any]:
        engine, tokenizer = self.model.engine, self.model.tokenizer
        before = engine.tokens.copy()
        labels = [tokenizer.encode_answer(label) for label in self.task.labels]
        longest = max(map(len, labels))
        prompts = [
            prompt_ids(tokenizer, self.task, query.instance.input, query.system.demonstrations)
            for query in self.queries
        ]
        fits = [index for index, ids in enumerate(prompts) if len(ids) + longest <= engine.context_length]
        fitting = [(prompts[index], self.queries[index].system.weights) for index in fits]
        with work.bar("label columns", len(COLUMNS), "columns") as bar:
            for column, answer in zip(COLUMNS, (self._constrained, self._likeliest), strict=True):
                texts = dict(zip(fits, answer(fitting, labels), strict=True))
                rows = ({"id": q.instance.id, "text": texts.get(index, "")} for index, q in enumerate(self.queries))
                write_jsonl(work.path / f"{column}.jsonl", rows)
                bar.advance(1)
        return {"tokens": (engine.tokens - before).as_info()}

    def reads(self) -> Iterable[Path]:
        return {folder for query in self.queries if (folder := query.system.folder) is not None}

    def load(self, stored: StoredStage) -> dict[str, list[Prediction]]:
        return {
            column: [Prediction(row["id"], row["text"]) for row in read_jsonl(stored.path / f"{column}.jsonl")]
            for column in COLUMNS
        }

    def _constrained(self, prompts: Sequence[Prompted], labels: Sequence[tuple[int, ...]]) -> list[str]:
        sampling = Sampling(max_new_tokens=max(map(len, labels)), choices=self.task.labels)
        answers = self.model.engine.generate([Request(ids, sampling, weights=weights) for ids, weights in prompts])
        return [completions[0].text for completions in answers]

    def _likeliest(self, prompts: Sequence[Prompted], labels: Sequence[tuple[int, ...]]) -> list[str]:
        requests = [ScoreRequest(ids, label, weights) for ids, weights in prompts for label in labels]
        scores = iter(self.model.engine.score(requests))
        totals = [{name: sum(next(scores)) for name in self.task.labels} for _ in prompts]
        return [max(of_label, key=lambda name: of_label[name]) for of_label in totals]


def label_columns(
    session: Session, instances: Sequence[Instance], systems: Mapping[str, System]
) -> dict[str, dict[str, Evaluated]]:
    """[column][system], for classification with `evaluation.label_scoring`; otherwise empty."""
    config, task = session.config.evaluation, session.task
    systems = {name: system for name, system in systems.items() if system.predictor is None}
    if not (config.label_scoring and task.is_classification and systems):
        return {}
    stage = ReadLabels(session.student, task, queries_of(instances, systems.values()))
    columns: dict[str, dict[str, Evaluated]] = {}
    for column, predictions in session.run("label_columns", stage).value.items():
        rows = batched(predictions, len(instances))
        columns[column] = {name: scored(task, instances, next(rows), config) for name in systems}
    return columns
