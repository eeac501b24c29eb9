"""What decides a pretraining run; the values are in `conf/micro_pretrain.yaml`. Imports no torch."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from benchmarks.micro.mixture import Mixture
from selfguide.config.knobs import knob
from selfguide.config.validate import as_dataclass, out_of_range, require_values
from selfguide.core.errors import ConfigError


@dataclass
class Architecture:
    """A Llama with heads of 64 and tied embeddings."""

    hidden: int = knob(ge=64)
    layers: int = knob(ge=3)  # the heads that look up lie in the first three
    feed_forward: int = knob(ge=1)
    vocabulary: int = knob(ge=512)  # 256 bytes, the fields and some words
    context: int = knob(ge=1)


@dataclass
class Phase:
    """A mixture that holds until `until` million tokens."""

    until: float = knob(gt=0)
    mixture: dict[str, float] = field(default_factory=dict)


@dataclass
class Pretraining:
    """Everything that decides the model. `tokens` is in millions; the rate falls over the last `decay` of them."""

    output: str = MISSING
    seed: int = knob(ge=0)
    tokens: float = knob(gt=0)
    batch_tokens: int = knob(ge=768)  # the longest row
    warmup_steps: int = knob(ge=1)
    decay: float = knob(gt=0, le=1)
    muon_lr: float = knob(gt=0)
    adam_lr: float = knob(gt=0)
    threads: int = knob(ge=1)
    compiled: bool = MISSING
    checkpoint_minutes: float = knob(ge=0)
    probe_every: float = knob(gt=0)
    probe_cases: int = knob(ge=3)
    architecture: Architecture = field(default_factory=Architecture)
    phases: list[Phase] = field(default_factory=list)


ConfigStore.instance().store(name="schema_micro_pretrain", node=Pretraining)
# What may change between two runs that work on one checkpoint: where and how fast, and how long.
NOT_THE_RECIPE = ("output", "threads", "compiled", "checkpoint_minutes", "probe_every", "probe_cases")


def pretraining(config: DictConfig) -> Pretraining:
    """The composed configuration as settings. Raises `ConfigError` naming key, value and what is allowed."""
    require_values(config)
    settings = as_dataclass(config, Pretraining)
    for problem in _problems(settings):
        raise ConfigError(problem)
    return settings


def recipe(*overrides: str, config_name: str = "micro_pretrain") -> Pretraining:
    """The settings that the command would compose from these overrides."""
    from hydra import compose, initialize_config_dir

    from selfguide.config.groups import register
    from selfguide.core.paths import config_dir

    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return pretraining(compose(config_name, overrides=list(overrides)))


def recorded(settings: Pretraining) -> dict[str, Any]:
    """What a checkpoint belongs to."""
    values = OmegaConf.to_container(OmegaConf.structured(settings))
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key not in NOT_THE_RECIPE}


def _problems(settings: Pretraining) -> Iterator[str]:
    if settings.architecture.hidden % 64:
        yield f"architecture.hidden: {settings.architecture.hidden} is not allowed; allowed: a multiple of 64"
    if not settings.phases:
        yield "phases: [] is not allowed; allowed: at least one {until, mixture}"
    known = [knob.name for knob in fields(Mixture)]
    for number, phase in enumerate(settings.phases):
        yield from out_of_range(f"phases[{number}].", phase)
        for name, share in phase.mixture.items():
            key = f"phases[{number}].mixture.{name}"
            if name not in known:
                yield f"{key}: there is no such key; allowed: {', '.join(known)}"
            elif share < 0:
                yield f"{key}: {share:g} is not allowed; allowed: >= 0"
