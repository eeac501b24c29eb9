"""What the stages of one run share: configuration, task, tokenizer, engine, store, terminal.

Holds no gold. Tokenizer and engine are started when a stage first needs them, so a run whose
stages are all in the store never loads torch.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from selfguide.config.schema import RunConfig
from selfguide.engines.base import Engine
from selfguide.engines.build import engine_identity
from selfguide.models import model_identity
from selfguide.store import Stage, Store
from selfguide.tokenization import PromptTokenizer
from selfguide.types import TaskSpec
from selfguide.ui.console import Terminal

Sealed = Callable[[Sequence[str]], frozenset[int]]
"""Which of these synthetic inputs stand in the evaluation split: places alone, no gold comes out."""


class Session:
    """One run. A context manager: leaving it frees the engine.

    `sealed` is there only with `filters.decontaminate=drop`.
    """

    def __init__(
        self,
        config: RunConfig,
        task: TaskSpec,
        terminal: Terminal,
        sealed: Sealed | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.sealed = sealed
        self.config = config
        self.task = task
        self.terminal = terminal
        self.store = Store(config.store.root, config.store.lock_timeout_s)
        self.stages: dict[str, Stage] = {}
        self._engine = engine

    @cached_property
    def model_identity(self) -> str:
        return model_identity(self.config.model)

    @cached_property
    def tokenizer(self) -> PromptTokenizer:
        from selfguide.models import load_prompt_tokenizer

        return load_prompt_tokenizer(self.config.model)

    @property
    def engine(self) -> Engine:
        """The running engine; started by the first stage that asks."""
        if self._engine is None:
            from selfguide.engines.build import build_engine

            self._engine = build_engine(self.config)
        return self._engine

    def free_device(self) -> None:
        """Before training: give the device back unless `engine.lifetime` says to keep it."""
        lifetime = self.config.engine.lifetime
        if self._engine is not None and lifetime == "restart":
            self.close()
        elif self._engine is not None and lifetime == "sleep" and hasattr(self._engine, "sleep"):
            self._engine.sleep()  # the next request wakes it

    def stage(
        self,
        name: str,
        kind: str,
        spec: Mapping[str, Any],
        build: Callable[[Path], Mapping[str, Any] | None],
    ) -> Stage:
        """Run or find a stage and note it for the result. `name` is its role in this run."""
        stage = self.store.run(kind, spec, build)
        self.stages[name] = stage
        return stage

    def base_spec(self, version: int) -> dict[str, Any]:
        """What every model call depends on: code version, model, engine and the task as prompted."""
        return {
            "version": version,
            "model": self.model_identity,
            "engine": engine_identity(self.config.engine),
            "dtype": self.config.model.dtype,
            "task": self.task_spec,
            "seed": self.config.seed,
        }

    @property
    def task_spec(self) -> dict[str, Any]:
        task = self.task
        return {
            "instruction": task.instruction,
            "demonstrations": [[d.input, d.output] for d in task.demonstrations],
            "labels": list(task.labels),
            "family": task.family,
        }

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def fields_of(node: Any, *, without: Iterable[str] = (), only: Iterable[str] | None = None) -> dict[str, Any]:
    """A configuration node as a dict, for a stage spec. A new knob is part of the key unless excluded here."""
    content = dataclasses.asdict(node)
    names = set(content) - set(without) if only is None else set(only)
    return {name: content[name] for name in content if name in names}
