"""The gold behind a run: its own pool, and what its model, its teacher and the run it takes rows from have seen."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from selfguide.config.loop import LoopConfig
from selfguide.config.schema import RunConfig
from selfguide.config.serving import ModelConfig
from selfguide.core.types import Instance, TaskSpec
from selfguide.methods.loop.transfer import source_provenance
from selfguide.models.source import model_provenance
from selfguide.tasks.provenance import Provenance


@dataclass(frozen=True, slots=True)
class GoldUse:
    """`claims`: gold of this task is behind the score. `scored`: how many scored instances were seen before."""

    claims: bool = False
    scored: int = 0
    provenance: Provenance = field(default_factory=Provenance)


def gold_use(config: RunConfig, task: TaskSpec, scored: Sequence[Instance], pool: Sequence[Instance]) -> GoldUse:
    """What is known before the run. Raises `DataError` for rows of a run that saw what this one is scored on."""
    method, before = config.method, model_provenance(config.model)
    if isinstance(config.teacher.model, ModelConfig):
        before = before.joined(model_provenance(config.teacher.model))
    if isinstance(method, LoopConfig) and method.initial_data.extra_rows is not None:
        before = before.joined(source_provenance(method.initial_data.extra_rows, task, scored))
    seen = before.count(scored)
    claims = method.claims_gold or seen > 0 or (before.claims_gold and task.name in before.tasks)
    inputs = [*(row.input for row in pool), *(shown.input for shown in task.demonstrations)]
    return GoldUse(claims, seen, before.joined(Provenance.of(task.name, inputs, method.claims_gold)))
