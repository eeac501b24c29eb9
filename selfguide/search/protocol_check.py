"""What a run's score may be taken for: a frozen setting's or not, and the how-manieth look at the test split.

A test task's test split is meant for settings that were chosen elsewhere. A run on it without a frozen setting
is marked unfrozen, and every opening of a test split is counted beside the store.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from selfguide.config.schema import RunConfig
from selfguide.core.errors import ConfigError
from selfguide.core.paths import expanded, sweeps_dir
from selfguide.core.types import Split, TaskSpec
from selfguide.models.source import model_identity
from selfguide.search.access_log import AccessLog
from selfguide.search.content import data_settings, models_content, prompt_content
from selfguide.search.frozen_config import FrozenConfig, RunContent, find, load
from selfguide.tasks.gold import GoldData, Opening


@dataclass(frozen=True, slots=True)
class ProtocolStatus:
    """`frozen` is None where no frozen setting is due: on validation splits and on tasks outside the protocol."""

    frozen: bool | None
    lock: dict[str, str | bool] | None
    test_openings: int | None

    @property
    def mark(self) -> str:
        """What tables put beside the score."""
        return "UNFROZEN" if self.frozen is False else ""


class AccessCounter:
    """From now on every opening of `gold`'s test split is counted, whoever opens it; `last` is the newest count."""

    def __init__(self, config: RunConfig, gold: GoldData, run: str, lock: str | None = None) -> None:
        self.last: int | None = None
        self._content = gold.content
        self._ledger = AccessLog(expanded(config.store.root, "store.root") / "test_openings.jsonl")
        self._details = {"model": config.model.name, "lock": lock, "run": run}
        gold.on_open(self._opened)

    def _opened(self, opening: Opening) -> None:
        if opening.test_instances:
            details = {**self._details, "split": opening.split, "test_instances": opening.test_instances}
            self.last = self._ledger.append(opening.task, opening.purpose, details, self._content)


class ProtocolCheck:
    """Checks the frozen setting of a run before its gold is opened, and counts the openings.

    Raises ConfigError for a frozen setting that does not fit, with the difference.
    """

    def __init__(self, config: RunConfig, task: TaskSpec, gold: GoldData, folder: Path) -> None:
        self._config = config
        self._lock = _checked(config, task, gold)
        self._openings = AccessCounter(config, gold, str(folder), None if self._lock is None else self._lock.hash)

    def status(self) -> ProtocolStatus:
        """What is known once the gold was opened."""
        config, lock = self._config, self._lock
        due = config.evaluation.split == "test" and (config.task.group == "test" or lock is not None)
        about = None if lock is None else self._about(lock)
        return ProtocolStatus(lock is not None if due else None, about, self._openings.last)

    def _about(self, lock: FrozenConfig) -> dict[str, str | bool]:
        return {
            "path": lock.path,
            "hash": lock.hash,
            "study": lock.content["study"]["name"],
            "same_model": lock.content["model"]["identity"] == model_identity(self._config.model),
        }


def _checked(config: RunConfig, task: TaskSpec, gold: GoldData) -> FrozenConfig | None:
    if config.frozen_config is None:
        return None
    lock = load(find(config.frozen_config, sweeps_dir()))
    split = cast(Split, config.evaluation.split)
    run = RunContent(
        task.name,
        split,
        task.metric,
        gold.hash(split),
        data_settings(config),
        prompt_content(config, task),
        models_content(config),
    )
    misfits = lock.misfits(run)
    if misfits:
        raise ConfigError(f"frozen_config: {lock.path} does not fit this run: {'; '.join(misfits)}")
    return lock
