"""What the stages of one run share: configuration, task, student, teacher, store, terminal.

Holds no gold but the pool of a method that claims it. Tokenizers and engines are started when a
stage first needs them, so a run whose stages are all in the store never loads torch.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from selfguide.config.schema import RunConfig
from selfguide.core.console import Terminal
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.models.base import Engine
from selfguide.models.build import engine_identity, lifetime_of
from selfguide.models.devices import ledger
from selfguide.models.source import model_identity
from selfguide.prompts.rendered import Rendered
from selfguide.prompts.selfguide import Prompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Finished, Stage, Store, StoredStage, Workspace, run_stage
from selfguide.store.usage import deleting

T = TypeVar("T")

OverlapCheck = Callable[[Sequence[str]], frozenset[int]]
"""Which of these synthetic inputs stand in the evaluation split: indices alone, no gold comes out."""


class LanguageModel:
    """A model and the engine that serves it, each started when first asked for.

    An `engine` that is given stays the one that is asked, also after it was closed.
    """

    def __init__(self, config: RunConfig, engine: Engine | None = None) -> None:
        self.config = config
        self._given = self._engine = engine

    @cached_property
    def identity(self) -> str:
        """Of the weights: a content hash, or `id@commit` of the hub."""
        return model_identity(self.config.model)

    @property
    def stage_identity(self) -> dict[str, Any]:
        """What decides its answers: the weights and how they are run."""
        return {**self.weights_identity, "engine": engine_identity(self.config.engine)}

    @property
    def weights_identity(self) -> dict[str, Any]:
        """What decides a training of it: no engine takes part."""
        model = self.config.model
        return {"weights": self.identity, "dtype": model.dtype, "context_length": model.context_length}

    @cached_property
    def tokenizer(self) -> PromptTokenizer:
        from selfguide.models.loading import load_prompt_tokenizer

        return load_prompt_tokenizer(self.config.model)

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer: of the engine if it runs, else by the model's own configuration."""
        from selfguide.models.source import context_length

        return context_length(self.config.model) if self._engine is None else self._engine.context_length

    @property
    def speaks_chat(self) -> bool:
        """Whether it is asked in turns, by a template of this side's or its server's."""
        return self.config.model.prompt_format != "plain"

    def render(self, prompt: Prompt) -> Rendered:
        """The prompt as its engine takes it."""
        if self.config.model.prompt_format == "turns":
            return Rendered.in_turns(prompt)
        return Rendered(self.tokenizer.encode_prompt(prompt))

    def stop(self, prompt: Prompt) -> tuple[str, ...]:
        """Stop strings: plain text has them, chat ends by its own token."""
        return () if self.speaks_chat else prompt.stop

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            from selfguide.models.build import build_engine

            self._engine = build_engine(self.config)
        return self._engine

    def free_device(self) -> None:
        """Give the device back unless `engine.lifetime` says to keep it."""
        lifetime = lifetime_of(self.config.engine)
        if self._engine is not None and lifetime == "restart":
            self.close()
        elif self._engine is not None and lifetime == "sleep" and hasattr(self._engine, "sleep"):
            self._engine.sleep()  # the next request wakes it

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = self._given


class RunLog:
    """The stages of a run, appended under the names of their roles; nothing reads it but the run's result."""

    def __init__(self) -> None:
        self._stages: dict[str, StoredStage] = {}

    def add(self, name: str, stage: StoredStage) -> None:
        """A role that is filled twice is the newer stage's; the same stage seen again stays as it was first seen."""
        known = self._stages.get(name)
        if known is None or known.key != stage.key:
            self._stages[name] = stage

    @property
    def stages(self) -> Mapping[str, StoredStage]:
        """By role, in the order in which the roles were first filled."""
        return dict(self._stages)


class Session:
    """One run. A context manager: leaving it frees the engines.

    `student` is evaluated and finetuned, `teacher` makes the data; they are one unless `teacher=` says
    otherwise. `overlap_check` is there only with `filters.decontaminate=drop`, `gold_pool` only for a method
    that claims gold. `gold_rows` are the same with all accepted answers, to judge by: no prompt shows them.
    """

    def __init__(
        self,
        config: RunConfig,
        task: TaskSpec,
        terminal: Terminal,
        overlap_check: OverlapCheck | None = None,
        engine: Engine | None = None,
        gold_rows: Sequence[Instance] = (),
    ) -> None:
        self.overlap_check = overlap_check
        self.gold_rows = tuple(gold_rows)
        self.gold_pool = tuple(Example(row.input, row.references[0]) for row in gold_rows)
        self.config = config
        self.task = task
        self.terminal = terminal
        self.log = RunLog()
        self.student = LanguageModel(config, engine)
        self.teacher = self.student if config.teacher.kind == "self" else LanguageModel(_as_teacher(config))
        self._store = Store(config.store.root, config.store.lock_timeout_s, config.store.damaged)
        self._released: dict[Path, Stage[Any]] = {}
        self._warned: set[str] = set()
        self._before_work: Callable[[], None] | None = None

    @property
    def tokenizer(self) -> PromptTokenizer:
        """The student's."""
        return self.student.tokenizer

    @property
    def engine(self) -> Engine:
        """The student's running engine; started by the first stage that asks."""
        return self.student.engine

    @property
    def context_length(self) -> int:
        """Tokens of prompt and answer that the student can take."""
        from selfguide.models.source import context_length

        return context_length(self.config.model)

    def belongs_to(self, folder: Path) -> None:
        """The run folder for which the store keeps the stages of this session."""
        self._store.used_by(folder)

    def release(self, stage: StoredStage, names: Sequence[str]) -> None:
        """Delete files of a finished stage, unless another run that goes on uses it; `restore` makes them again."""
        if not names or self._store.usage is None:
            return
        with deleting(self._store.root):
            if f"{stage.path.parent.name}/{stage.key}" not in self._store.usage.others():
                self._store.release(stage.path, names)

    def restore(self, folder: Path) -> None:
        """What was released of the stage that this folder is of is there again."""
        if (stage := self._released.pop(folder.parent, None)) is not None:
            self.terminal.say(f"{folder.parent.name}: computing again what store.keep had deleted")
            self._store.restore(stage.kind, stage.spec, lambda path: stage.build(self._workspace(path, stage.kind)))

    def before_work(self, check: Callable[[], None]) -> None:
        """What is to be called once, before the first stage that is not in the store is computed."""
        self._before_work = check

    def warn_once(self, text: str) -> None:
        """A line that must not be overlooked, however often this run comes by."""
        if text not in self._warned:
            self._warned.add(text)
            self.terminal.warn(text)

    def free_device(self) -> None:
        """Before training: what is not to be kept leaves the device."""
        self.student.free_device()
        if self.teacher is not self.student:
            self.teacher.free_device()

    def run(self, name: str, stage: Stage[T]) -> Finished[T]:
        """The stage's result, found in the store or built; the run's result lists it as `name`, its role."""

        def workspace(path: Path) -> Workspace:
            for folder in stage.reads():
                self.restore(folder)
            return self._workspace(path, name)

        finished = run_stage(self._store, stage, workspace)
        if finished.stored.released:
            self._released[finished.stored.path] = stage
        if not finished.stored.hit:
            self.terminal.note(f"memory after {name}: {ledger()}")
        self.log.add(name, finished.stored)
        return finished

    def _workspace(self, path: Path, name: str) -> Workspace:
        before, self._before_work = self._before_work, None
        if before is not None:
            before()
        self.terminal.note(f"memory before {name}: {ledger()}")
        return Workspace(path, self.terminal, name, self.free_device)

    def close(self) -> None:
        self.student.close()
        self.teacher.close()
        if self._store.usage is not None:
            self._store.usage.close()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _as_teacher(config: RunConfig) -> RunConfig:
    teacher = config.teacher
    assert teacher.model is not None and teacher.engine is not None  # checked when the configuration is composed
    # It is never finetuned: an engine need not hold adapters ready.
    return dataclasses.replace(
        config,
        model=teacher.model,
        engine=teacher.engine,
        finetuning=dataclasses.replace(config.finetuning, kind="none"),
    )
