"""The schema of the commands beside the run: export, chat, serve and table. Values and comments are in `conf/`."""

from dataclasses import dataclass
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig, OmegaConf

from selfguide.config.knobs import knob
from selfguide.config.plan_table import PlanTableConfig
from selfguide.config.table import TableConfig, table_problems
from selfguide.config.validate import as_dataclass, require_values
from selfguide.core.errors import ConfigError

T = TypeVar("T")
Chosen = TypeVar("Chosen", bound=TableConfig)


@dataclass
class TrustConfig:
    """What a run's folder may not decide for a command that loads its model."""

    trust_remote_code: bool = MISSING


@dataclass
class ExportConfig(TrustConfig):
    """`selfguide export`."""

    run: str = MISSING
    to: str = MISSING
    dataset: bool = MISSING
    weights: str = knob(one_of=("adapter", "merged", "none"))
    license: str | None = MISSING
    push_to_hub: str | None = MISSING
    private: bool = MISSING


@dataclass
class ChatConfig(TrustConfig):
    """`selfguide chat`."""

    base_url: str = MISSING
    api_key_env: str = MISSING
    run: str = MISSING
    max_new_tokens: int | None = knob(ge=1)


@dataclass
class ServeConfig(TrustConfig):
    """`selfguide serve`."""

    run: str = MISSING
    host: str = MISSING
    port: int = knob(ge=1, le=65535)
    vllm: list[str] = MISSING
    dry_run: bool = MISSING


SCHEMAS: dict[str, type[Any]] = {
    "schema_export": ExportConfig,
    "schema_chat": ChatConfig,
    "schema_serve": ServeConfig,
    "schema_table": TableConfig,
    "schema_plan_table": PlanTableConfig,
}


def typed_command(config: DictConfig, kind: type[T]) -> T:
    """A command's configuration as its dataclass. Raises `ConfigError` naming key, value and what is allowed."""
    require_values(config)
    return as_dataclass(config, kind)


def typed_table(config: DictConfig, kind: type[Chosen]) -> Chosen:
    """The table that a command is about, checked. Raises `ConfigError`, also where none is chosen."""
    if OmegaConf.is_missing(config, "name"):
        raise ConfigError("+table: no table is chosen; choose one with +table=table_main (see experiments/)")
    table = typed_command(config, kind)
    for problem in table_problems(table):
        raise ConfigError(problem)
    return table
