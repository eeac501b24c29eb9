"""What a run's score may be taken for: a frozen setting's or not, and the how-manieth look at the test split.

A test task's test split is meant for settings that were chosen elsewhere. A run on it without a frozen setting
is marked unfrozen, and every opening of a test split is counted, beside the store and for the user. What counts is
the data: a copy under another name, in another file or store is the same task.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from selfguide.config.schema import RunConfig
from selfguide.core.errors import ConfigError
from selfguide.core.paths import expanded, sweeps_dir
from selfguide.core.types import Split, TaskSpec
from selfguide.models.source import model_identity
from selfguide.search.access_log import Noted, note, user_log
from selfguide.search.content import data_settings, models_content, prompt_content
from selfguide.search.frozen_config import FrozenConfig, RunContent, find, load
from selfguide.tasks.gold import GoldData, Opening
from selfguide.tasks.identity import Identity
from selfguide.tasks.splits import DEFAULT_FRACTION, DEFAULT_SEED


@dataclass(frozen=True, slots=True)
class ProtocolStatus:
    """`frozen` is None where no frozen setting is due: on validation splits and on tasks outside the protocol.

    `other_split` is how the instances differ from the published split, None where they do not or there is none;
    `reset_logs` which logs of the openings were cut or deleted, and by how many lines; `other_openings` how many
    openings under the task's name were of other instances, and are not counted.
    """

    frozen: bool | None = None
    lock: dict[str, str | bool] | None = None
    test_openings: int | None = None
    other_split: str | None = None
    reset_logs: dict[str, int] = field(default_factory=dict)
    other_openings: int = 0

    @property
    def mark(self) -> str:
        """What tables put beside the score."""
        return "UNFROZEN" if self.frozen is False else ""


class AccessCounter:
    """From now on every opening of `gold`'s test split is noted, whoever opens it; `last` is what is known then."""

    def __init__(self, config: RunConfig, gold: GoldData, run: str, lock: str | None = None) -> None:
        self.last: Noted | None = None
        self._gold = gold.identity
        self._logs = (
            expanded(config.store.root, "store.root") / "test_openings.jsonl",
            user_log(gold.task, gold.identity),
        )
        self._details = {"model": config.model.name, "lock": lock, "run": run}
        gold.on_open(self._opened)

    def _opened(self, opening: Opening) -> None:
        if opening.test_instances:
            about = {"purpose": opening.purpose, "split": opening.split, "test_instances": opening.test_instances}
            self.last = note(self._logs, opening.task, self._gold, {**about, **self._details})


class ProtocolCheck:
    """Checks the frozen setting of a run before its gold is opened, and counts the openings.

    Raises ConfigError for a frozen setting that does not fit, with the difference, and for a wrong `task.group`.
    """

    def __init__(self, config: RunConfig, task: TaskSpec, gold: GoldData, folder: Path) -> None:
        self._config, self._identity = config, gold.identity
        if config.task.group not in (None, gold.identity.group):
            raise ConfigError(
                f"task.group: {config.task.group} is not allowed for the data of {gold.identity.preset}; allowed: "
                f"{gold.identity.group or 'null'}"
            )
        self._lock = _checked(config, task, gold)
        self._openings = AccessCounter(config, gold, str(folder), None if self._lock is None else self._lock.hash)

    def status(self) -> ProtocolStatus:
        """What is known once the gold was opened."""
        config, lock, noted = self._config, self._lock, self._openings.last
        # Test instances that `data` moved to the validation split are test instances.
        tested = noted is not None and (config.evaluation.split == "test" or lock is None)
        due = tested and (self._identity.group == "test" or lock is not None)
        return ProtocolStatus(
            lock is not None if due else None,
            None if lock is None else self._about(lock),
            None if noted is None else noted.openings,
            other_split(config, self._identity),
            {} if noted is None else noted.put_back,
            0 if noted is None else noted.others,
        )

    def _about(self, lock: FrozenConfig) -> dict[str, str | bool]:
        return {
            "path": lock.path,
            "hash": lock.hash,
            "study": lock.content["study"]["name"],
            "same_model": lock.content["model"]["identity"] == model_identity(self._config.model),
        }


def other_split(config: RunConfig, identity: Identity) -> str | None:
    """How the instances of a task of the protocol are others than those of its published split."""
    default = {"split": "seeded", "validation_fraction": DEFAULT_FRACTION, "split_seed": DEFAULT_SEED}
    if identity.group is None or config.task.hub.train_split is not None:
        return None
    data = config.data
    other = [f"data.{name}={getattr(data, name)}" for name, value in default.items() if getattr(data, name) != value]
    changed = [] if identity.exact else [f"other instances than those of {identity.preset}, or in another order"]
    return ", ".join([*changed, " ".join(other)]).strip(", ") or None


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
