"""What a method took to make, from its stages. A stage found in the store counts as when it was computed."""

from collections.abc import Mapping
from dataclasses import dataclass

from selfguide.store import Stage


@dataclass(frozen=True, slots=True)
class Costs:
    """Calls are completions asked of an engine (a vote of 20 samples is 20), the unit of the published cost models.

    `calls` is None where a stage was kept by a version that did not count them. `trained_tokens` are
    those the loss was on, over all epochs; `device_seconds` the time of stages that call or train, by
    the devices they ran on; `kept` the unique rows that came out.
    """

    calls: int | None
    prompt_tokens: int
    generated_tokens: int
    trained_tokens: int
    steps: int
    device_seconds: float
    kept: int
    kept_per_1000_calls: float | None


def costs(stages: Mapping[str, Stage], kept: int, *, serving: int = 1, training: int = 1) -> Costs:
    """The sum over stages, each once, whatever names it has. `serving`, `training`: devices of engine and trainer."""
    own = list({(stage.name, stage.key): stage for stage in stages.values()}.values())
    tokens = [stage.info["tokens"] for stage in own if "tokens" in stage.info]
    calls = sum(count["calls"] for count in tokens) if all("calls" in count for count in tokens) else None
    return Costs(
        calls=calls,
        prompt_tokens=sum(count["prompt"] for count in tokens),
        generated_tokens=sum(count["generated"] for count in tokens),
        trained_tokens=sum(stage.info.get("trained_tokens", 0) for stage in own),
        steps=sum(stage.info.get("steps", 0) for stage in own),
        device_seconds=round(sum(stage.seconds * _devices(stage, serving, training) for stage in own), 3),
        kept=kept,
        kept_per_1000_calls=round(1000 * kept / calls, 1) if calls else None,
    )


def _devices(stage: Stage, serving: int, training: int) -> int:
    if "steps" in stage.info:
        return training
    return serving if "tokens" in stage.info else 0
