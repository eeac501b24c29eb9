"""The schema of the `sweep` node. Values and explanations are in `conf/sweep/default.yaml`."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from selfguide.config.knobs import knob


@dataclass
class ConfirmConfig:
    """Further seeds for the best settings of a search, before one is frozen."""

    finalists: int = knob(ge=0)
    seeds: list[int] = MISSING


@dataclass
class WarmStartConfig:
    """Another study whose best settings are tried first."""

    study: str = MISSING
    storage: str = MISSING
    best: int = knob(ge=1)


@dataclass
class SweepConfig:
    """A search for one setting that serves several tasks. Read by the sweeper, not by the single run."""

    name: str = MISSING
    tasks: list[str] = MISSING
    test_tasks: list[str] = MISSING
    space: dict[str, str] = MISSING
    first: list[dict[str, Any]] = MISSING
    sampler: Any = MISSING
    pruner: dict[str, Any] | None = None
    trials: int | None = knob(ge=1)
    timeout_s: float | None = knob(gt=0, default=None)
    max_tokens: int | None = knob(ge=1, default=None)
    warm_start: WarmStartConfig | None = None
    seed: int = knob(ge=0)
    seeds: list[int] = MISSING
    confirm: ConfirmConfig | None = None
    objective: str = knob(one_of=("worst_score", "worst_gain", "lcb"))
    confidence: float = knob(gt=0.5, lt=1)
    bootstrap: int = knob(ge=100)
    floors: dict[str, Any] = MISSING
    racing: str = knob(one_of=("off", "exact", "noise_aware"))
    parallel: int | None = knob(ge=1)
    retries: int = knob(ge=0)
    max_failures: int | None = knob(ge=1)
    retry_failed: bool = MISSING
    storage: str | None = MISSING
    journal_lock: str = knob(one_of=("symlink", "open"))
    lease_s: float = knob(ge=1)
    record: str | None = MISSING
    replace_frozen_config: bool = MISSING
