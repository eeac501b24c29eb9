"""Which setting next: Optuna's samplers, made repeatable over restarts and free of repetitions.

Each trial's randomness comes from the seed and its index in the study, not from a generator that a
restart would wind back. A setting that the study already holds is not suggested again: on a finite
space the draw is repeated, and at last a free setting is picked.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from selfguide.core.errors import ConfigError
from selfguide.core.optional import optional
from selfguide.core.seeding import child_random, child_seed
from selfguide.search.results import identity
from selfguide.search.space import Space
from selfguide.search.targets import sampler_of

ATTEMPTS = 10
KINDS = ("tpe", "random", "grid", "brute_force", "gp", "cmaes")
ORIGIN = "origin"
LOST = "lost"  # on a FAIL trial: its sweeper died; the setting is asked again
Point = dict[str, Any]


class RepeatableSampler(BaseSampler):  # type: ignore[misc]
    """Samples whole settings, each from `child_seed(seed, index, attempt)`.

    `kind` is one of `KINDS`, or the `_target_` of a sampler of Optuna's with its options.
    """

    def __init__(self, kind: str | Mapping[str, Any], seed: int, space: Space) -> None:
        self.kind, self.seed, self.space = kind, seed, space
        self.points = space.points()
        if kind in ("grid", "brute_force") and self.points is None:
            raise ConfigError(f"sweep.sampler: {kind} needs a finite space; allowed there: choice(…) and range(…)")

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(self.space.distributions)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if trial.system_attrs.get("fixed_params"):
            return {}
        others = [other for other in study.get_trials(deepcopy=False) if other.number < trial.number]
        # A trial lost with its sweeper leaves its index to the trial that repeats it.
        index = sum(not other.user_attrs.get(LOST) for other in others)
        taken = {identity(setting_of(other)) for other in others if not other.user_attrs.get(LOST)}
        if self.kind == "grid":
            assert self.points is not None
            return next((point for point in self.points if identity(point) not in taken), self.points[-1])
        for attempt in range(ATTEMPTS):
            point = self._draw(study, trial, child_seed(self.seed, "sampler", index, attempt) % 2**32)
            if identity(point) not in taken:
                return point
        free = [point for point in self.points or () if identity(point) not in taken]
        return child_random(self.seed, "sampler", index).choice(free) if free else point

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{param_name}: settings are sampled whole")

    def _draw(self, study: Study, trial: FrozenTrial, seed: int) -> Point:
        kind = "random" if self.kind == "brute_force" else self.kind
        sampler = _build(kind, seed) if isinstance(kind, str) else sampler_of(kind, seed)
        if self.kind == "gp":
            study, trial = _with_pruned(study, trial)
        names = sampler.infer_relative_search_space(study, trial)
        point = sampler.sample_relative(study, trial, names) if names else {}
        # Early trials, and keys that a sampler cannot relate to the others, are drawn one by one.
        for name, distribution in self.space.distributions.items():
            if name not in point:
                point[name] = sampler.sample_independent(study, trial, name, distribution)
        return {name: point[name] for name in self.space.distributions}


def _with_pruned(study: Study, trial: FrozenTrial) -> tuple[Study, FrozenTrial]:
    """Study and trial as Optuna's Gaussian process wants them, which learns from finished trials alone.

    Racing prunes most: they enter at their running minimum, which the value cannot exceed.
    """
    shown = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler())
    shown.add_trials(
        optuna.create_trial(params=other.params, distributions=other.distributions, value=other.value)
        for other in study.get_trials(deepcopy=False)
        if other.number < trial.number and other.state in (TrialState.COMPLETE, TrialState.PRUNED)
    )
    return shown, shown._storage.get_trial(shown.ask()._trial_id)


def setting_of(trial: FrozenTrial) -> Point:
    """The trial's setting; of one that waits, or is being asked key by key, what it was asked with."""
    asked_with = trial.system_attrs.get("fixed_params") or {}
    return dict(trial.params if len(trial.params) >= len(asked_with) else asked_with)


def exhausted(trials: Sequence[FrozenTrial], points: Sequence[Mapping[str, Any]] | None) -> bool:
    """Whether a finite space has no setting left that was not tried."""
    if points is None:
        return False
    taken = {identity(setting_of(trial)) for trial in trials if not trial.user_attrs.get(LOST)}
    waiting = any(trial.state == TrialState.WAITING for trial in trials)
    return not waiting and all(identity(point) in taken for point in points)


def _build(kind: str, seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if kind == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if kind == "tpe":
            return optuna.samplers.TPESampler(seed=seed)
        if kind == "gp":
            return optuna.samplers.GPSampler(seed=seed)
        optional("cmaes", f"sweep.sampler={kind}", "cmaes")
        return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False, consider_pruned_trials=True)
