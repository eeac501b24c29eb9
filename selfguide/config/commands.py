"""The schema of the commands beside the run: export and chat. Values and comments are in `conf/`."""

from dataclasses import dataclass
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from selfguide.config.knobs import knob
from selfguide.config.validate import one_line, out_of_range
from selfguide.errors import ConfigError

T = TypeVar("T")


@dataclass
class ExportConfig:
    """`python -m selfguide.export`."""

    run: str = MISSING
    to: str = MISSING
    dataset: bool = MISSING
    weights: str = knob(one_of=("adapter", "merged", "none"))
    license: str | None = MISSING
    push_to_hub: str | None = MISSING
    private: bool = MISSING


@dataclass
class ChatConfig:
    """`python -m selfguide.chat`."""

    run: str = MISSING
    max_new_tokens: int | None = knob(ge=1)


SCHEMAS: dict[str, type[Any]] = {"schema_export": ExportConfig, "schema_chat": ChatConfig}


def typed_command(config: DictConfig, kind: type[T]) -> T:
    """A command's configuration as its dataclass. Raises `ConfigError` naming key, value and what is allowed."""
    for missing in sorted(OmegaConf.missing_keys(config)):
        raise ConfigError(f"{missing}: has no value; set it with {missing}=…")
    try:
        options = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(options, kind)
    for problem in out_of_range("", options):
        raise ConfigError(problem)
    return options
