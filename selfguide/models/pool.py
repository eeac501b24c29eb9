"""One engine for run after run: started when a run first needs it, stopped when one needs another."""

import atexit
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from types import TracebackType
from typing import Any, Self, cast

from selfguide.config.schema import RunConfig
from selfguide.core.files import canonical_json
from selfguide.models.base import Engine
from selfguide.models.build import lifetime_of


def engine_key(config: RunConfig) -> str:
    """What an engine is started with: runs that agree in it can share one."""
    # vLLM sets room aside for adapters of this kind and rank.
    adapters = [config.finetuning.kind, config.finetuning.rank]
    return canonical_json([dataclasses.asdict(config.model), dataclasses.asdict(config.engine), adapters])


class EnginePool:
    """Owns at most one engine. A context manager: leaving it stops the engine. `starts` counts those there were."""

    def __init__(self) -> None:
        self.starts = 0
        self._key: str | None = None
        self._engine: Engine | None = None

    def engine_for(self, config: RunConfig) -> Engine:
        """An engine for this run, not started before it is used."""
        return cast(Engine, _PooledEngine(self, config))

    @contextmanager
    def lent(self, config: RunConfig) -> Iterator[Engine]:
        """`engine_for` a run. One that a run failed on may be broken: the next run starts its own."""
        try:
            yield self.engine_for(config)
        except Exception:
            self.close()
            raise

    def running(self, config: RunConfig) -> Engine:
        """The engine itself, started."""
        if self._engine is None or self._key != engine_key(config):
            self.close()
            from selfguide.models.build import build_engine

            self._engine, self._key = build_engine(config), engine_key(config)
            self.starts += 1
        return self._engine

    @property
    def key(self) -> str | None:
        """Of the newest engine."""
        return self._key

    @property
    def started(self) -> bool:
        """Whether there is an engine."""
        return self._engine is not None

    def close(self) -> None:
        """Stop the engine; the next run starts one."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _PooledEngine:
    """What a run holds. A run closes its engine at the end; this one goes back instead."""

    def __init__(self, pool: EnginePool, config: RunConfig) -> None:
        self._pool = pool
        self._config = config

    # Known without an engine: to ask must not stop one that serves other runs.

    @property
    def name(self) -> str:
        return self._config.engine.name

    @cached_property
    def context_length(self) -> int:
        from selfguide.models.source import context_length

        return context_length(self._config.model)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool.running(self._config), name)

    def sleep(self) -> None:
        """Before training, if this run's engine is the one that runs, and it can."""
        ours = self._pool.started and self._pool.key == engine_key(self._config)
        if ours and hasattr(engine := self._pool.running(self._config), "sleep"):
            engine.sleep()

    def close(self) -> None:
        # A run with lifetime=restart needs the whole device for its training.
        if lifetime_of(self._config.engine) == "restart":
            self._pool.close()


@cache
def warm_pool() -> EnginePool:
    """This process's own, for the jobs that it is given one after another; stopped when the process ends."""
    pool = EnginePool()
    atexit.register(pool.close)
    return pool
