"""The best settings of another study, to be tried first."""

from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from selfguide.apps.sweep.storage import open_storage
from selfguide.config.sweep import WarmStartConfig
from selfguide.core.errors import ConfigError
from selfguide.search.results import Setting
from selfguide.search.sampler import setting_of
from selfguide.search.space import Space


def warm_settings(wanted: WarmStartConfig, space: Space, folder: Path, journal_lock: str) -> Iterator[Setting]:
    """At most `best` of them, best first; those that are not settings of `space` are passed over.

    Raises `ConfigError` if there is no such study.
    """
    try:
        study = optuna.load_study(study_name=wanted.study, storage=open_storage(wanted.storage, folder, journal_lock))
    except KeyError:
        raise ConfigError(f"sweep.warm_start.study: {wanted.study} is not in {wanted.storage}") from None

    def rank(trial: FrozenTrial) -> tuple[float, int]:
        assert trial.value is not None
        return (-trial.value if study.direction.name == "MAXIMIZE" else trial.value), trial.number

    found = 0
    for trial in sorted(study.get_trials(states=[TrialState.COMPLETE]), key=rank):
        setting = setting_of(trial)
        if set(setting) == set(space.distributions) and all(space.holds(key, setting[key]) for key in setting):
            yield setting
            if (found := found + 1) == wanted.best:
                return
