"""Extra columns beside the headline, never in its place: other ways to read a label, the metric's sibling.

`constrained`: greedy decoding restricted to the labels. `label_scoring`: the label whose whole
token sequence, end-of-sequence token included, has the highest log-probability. `squad_exact` and
`token_f1`, the two figures of question answering, stand beside one another: the same answers, scored twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from selfguide.config.schema import EvaluationConfig
from selfguide.core.files import write_jsonl
from selfguide.core.types import Instance, Metric, TaskSpec
from selfguide.evaluation.contender import Contender
from selfguide.evaluation.evaluate import Evaluated, identity, rescored, scored
from selfguide.models.base import Request, Sampling, ScoreRequest, Weights
from selfguide.models.session import Session
from selfguide.prompts.selfguide import answer_prompt
from selfguide.store import fingerprint

COLUMNS = ("constrained", "label_scoring")
SIBLINGS: Mapping[Metric, Metric] = {"token_f1": "squad_exact", "squad_exact": "token_f1"}


def sibling_columns(
    task: TaskSpec, instances: Sequence[Instance], variants: Mapping[str, Evaluated], config: EvaluationConfig
) -> dict[str, dict[str, Evaluated]]:
    """[metric][variant] with the answers that `variants` gave; empty for a metric without a sibling."""
    metric = SIBLINGS.get(task.metric)
    if metric is None:
        return {}
    other = replace(task, metric=metric)
    return {metric: {name: rescored(other, instances, one, config) for name, one in variants.items()}}


def label_columns(
    session: Session, instances: Sequence[Instance], variants: Mapping[str, Contender]
) -> dict[str, dict[str, Evaluated]]:
    """[column][variant], for classification with `evaluation.label_scoring`; otherwise empty."""
    config, task = session.config.evaluation, session.task
    variants = {name: one for name, one in variants.items() if one.answerer is None}
    if not (config.label_scoring and task.is_classification and variants):
        return {}
    spec = {
        **session.base_spec(version=1),
        "instances": fingerprint([(i.id, i.input) for i in instances]),
        "variants": [identity(contender) for contender in variants.values()],
    }
    del spec["seed"]

    def build(work: Path) -> dict[str, Any]:
        before = session.engine.tokens.copy()
        tokenizer, limit = session.tokenizer, session.engine.context_length
        labels = [tokenizer.encode_answer(label) for label in task.labels]
        total = len(COLUMNS) * len(variants)
        with session.terminal.bar("label columns", total, "columns") as bar:
            for number, variant in enumerate(variants.values()):
                shots, weights = variant.demonstrations, variant.weights
                prompts = [tokenizer.encode_prompt(answer_prompt(task, i.input, shots)) for i in instances]
                fits = [place for place, ids in enumerate(prompts) if len(ids) + max(map(len, labels)) <= limit]
                for column, answer in (("constrained", _constrained), ("label_scoring", _likeliest)):
                    found = dict(zip(fits, answer(session, [prompts[i] for i in fits], labels, weights), strict=True))
                    rows = ({"id": one.id, "text": found.get(place, "")} for place, one in enumerate(instances))
                    write_jsonl(work / f"{column}-{number}.jsonl", rows)
                    bar.advance(1)
        spent = session.engine.tokens - before
        return {"tokens": {"prompt": spent.prompt, "generated": spent.generated, "calls": spent.calls}}

    stage = session.stage("label_columns", "columns", spec, build)
    return {
        column: {
            variant: scored(task, instances, stage.path / f"{column}-{number}.jsonl", config)
            for number, variant in enumerate(variants)
        }
        for column in COLUMNS
    }


def _constrained(
    session: Session, prompts: Sequence[tuple[int, ...]], labels: Sequence[tuple[int, ...]], weights: Weights | None
) -> list[str]:
    sampling = Sampling(max_new_tokens=max(map(len, labels)), choices=session.task.labels)
    answers = session.engine.generate([Request(ids, sampling, weights=weights) for ids in prompts])
    return [completions[0].text for completions in answers]


def _likeliest(
    session: Session, prompts: Sequence[tuple[int, ...]], labels: Sequence[tuple[int, ...]], weights: Weights | None
) -> list[str]:
    scores = iter(session.engine.score([ScoreRequest(ids, label, weights) for ids in prompts for label in labels]))
    names = session.task.labels
    found = []
    for _ in prompts:
        totals = {name: sum(next(scores)) for name in names}
        found.append(max(totals, key=lambda name: totals[name]))
    return found
