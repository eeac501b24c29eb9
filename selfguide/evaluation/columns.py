"""Extra columns beside the headline, never in its place: other ways to read a label, the metric's sibling.

`constrained`: greedy decoding restricted to the labels. `label_scoring`: the label whose whole
token sequence, end-of-sequence token included, has the highest log-probability. `squad_exact` and
`token_f1`, the two figures of question answering, stand beside one another: the same answers, scored twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from selfguide.config.schema import EvaluationConfig
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.types import Instance, TaskSpec
from selfguide.evaluation.evaluate import Evaluated, inputs_hash, predictions_in, scored, without_references
from selfguide.evaluation.predict import Prediction, System, prompt_ids
from selfguide.models.base import Request, Sampling, ScoreRequest, Weights
from selfguide.models.session import LanguageModel, Session
from selfguide.store import Stage, StoredStage, Workspace, keyed

COLUMNS = ("constrained", "label_scoring")
SIBLINGS: Mapping[str, str] = {"token_f1": "squad_exact", "squad_exact": "token_f1"}


def sibling_columns(
    task: TaskSpec, instances: Sequence[Instance], systems: Mapping[str, Evaluated], config: EvaluationConfig
) -> dict[str, dict[str, Evaluated]]:
    """[metric][system] with the answers that `systems` gave; empty for a metric without a sibling."""
    metric = SIBLINGS.get(task.metric)
    if metric is None:
        return {}
    other = replace(task, metric=metric)
    return {
        metric: {name: scored(other, instances, evaluated.predictions, config) for name, evaluated in systems.items()}
    }


@dataclass(frozen=True)
class ReadLabels(Stage[dict[str, list[tuple[Prediction, ...]]]]):
    """The label that each system gives to each instance, by each column's way; greedy, so without a seed."""

    kind: ClassVar[str] = "columns"
    version: ClassVar[int] = 1

    model: LanguageModel
    task: TaskSpec
    instances: tuple[Instance, ...] = field(metadata=keyed(inputs_hash))
    systems: tuple[System, ...]

    def build(self, work: Workspace) -> dict[str, Any]:
        engine, tokenizer = self.model.engine, self.model.tokenizer
        before = engine.tokens.copy()
        longest = max(len(tokenizer.encode_answer(label)) for label in self.task.labels)
        with work.bar("label columns", len(COLUMNS) * len(self.systems), "columns") as bar:
            for number, system in enumerate(self.systems):
                prompts = [prompt_ids(tokenizer, self.task, i.input, system.demonstrations) for i in self.instances]
                fits = [index for index, ids in enumerate(prompts) if len(ids) + longest <= engine.context_length]
                for column, answer in (("constrained", self._constrained), ("label_scoring", self._likeliest)):
                    texts = dict(zip(fits, answer([prompts[i] for i in fits], system.weights), strict=True))
                    rows = ({"id": i.id, "text": texts.get(index, "")} for index, i in enumerate(self.instances))
                    write_jsonl(work.path / f"{column}-{number}.jsonl", rows)
                    bar.advance(1)
        return {"tokens": (engine.tokens - before).as_info()}

    def load(self, stored: StoredStage) -> dict[str, list[tuple[Prediction, ...]]]:
        return {
            column: [
                predictions_in(read_jsonl(stored.path / f"{column}-{number}.jsonl"))
                for number in range(len(self.systems))
            ]
            for column in COLUMNS
        }

    def _constrained(self, prompts: Sequence[tuple[int, ...]], weights: Weights | None) -> list[str]:
        longest = max(len(self.model.tokenizer.encode_answer(label)) for label in self.task.labels)
        sampling = Sampling(max_new_tokens=longest, choices=self.task.labels)
        answers = self.model.engine.generate([Request(ids, sampling, weights=weights) for ids in prompts])
        return [completions[0].text for completions in answers]

    def _likeliest(self, prompts: Sequence[tuple[int, ...]], weights: Weights | None) -> list[str]:
        labels = [self.model.tokenizer.encode_answer(label) for label in self.task.labels]
        requests = [ScoreRequest(ids, label, weights) for ids in prompts for label in labels]
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
    stage = ReadLabels(session.student, task, without_references(instances), tuple(systems.values()))
    return {
        column: {
            name: scored(task, instances, predictions, config)
            for name, predictions in zip(systems, columns, strict=True)
        }
        for column, columns in session.run("label_columns", stage).value.items()
    }
