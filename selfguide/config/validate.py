"""Checks a composed configuration in milliseconds, before anything heavy is imported."""

import dataclasses
import difflib
import math
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from selfguide.config.budget import budget_problems
from selfguide.config.builtin import ENGINES, METHODS
from selfguide.config.engines import engine_problems
from selfguide.config.knobs import Allowed
from selfguide.config.loop import LoopConfig, attribute_problems, loop_problems
from selfguide.config.methods import RestConfig, SelfICLConfig, rest_problems, self_icl_problems
from selfguide.config.renamed import renamed_key, renamed_value
from selfguide.config.schema import RunConfig
from selfguide.config.shown import demonstration_problems
from selfguide.config.students import student_problems
from selfguide.config.targets import with_targets
from selfguide.config.votes import vote_problems
from selfguide.core.errors import ConfigError
from selfguide.core.paths import expanded

T = TypeVar("T")
# What a run may be without.
OPTIONAL = ("frozen_config", "sweep", "plan")


def typed(config: DictConfig) -> RunConfig:
    """The configuration as plain dataclasses, with every knob in range.

    Raises `ConfigError` naming the key, the value and what is allowed.
    """
    for field in dataclasses.fields(RunConfig):
        if field.name not in config and field.name not in OPTIONAL:
            raise ConfigError(f"{field.name}: was deleted; allowed: a value, leave ~{field.name} out")
    config = with_targets(config)
    for name, node in config.items():
        key = str(name)
        if key in OPTIONAL and node is None:
            continue
        if node is None or OmegaConf.is_missing(config, key):
            raise ConfigError(f"{key}: no option of this group is chosen; choose one with {key}=…")
    require_values(config)
    for problem in _added_keys("", config):
        raise ConfigError(problem)
    run = as_dataclass(config, RunConfig)
    check_combinations(run)
    expanded(run.store.root, "store.root")
    return run


def check_combinations(run: RunConfig) -> None:
    """Raise `ConfigError` for knobs, each in its range, that do not go together."""
    for problem in _problems(run):
        raise ConfigError(problem)


def require_values(config: DictConfig) -> None:
    """Raise `ConfigError` for a key that was left without a value."""
    for missing in sorted(OmegaConf.missing_keys(config)):
        raise ConfigError(f"{missing}: has no value; set it with {missing}=…")


def as_dataclass(config: DictConfig, kind: type[T]) -> T:
    """The configuration as its dataclass; raises `ConfigError` for a wrong type or a value out of range."""
    try:
        options = OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(options, kind)
    for problem in out_of_range("", options):
        raise ConfigError(problem)
    return options


def _problems(run: RunConfig) -> Iterator[str]:
    yield from _names(run)
    yield from _unquoted_labels(run.task.labels)
    yield from _combinations(run)


def _added_keys(prefix: str, node: DictConfig) -> Iterator[str]:
    """Keys that `+key=value` put into a typed node: Hydra takes them, the schema has no place for them."""
    kind = OmegaConf.get_type(node)
    known = list(getattr(kind, "__dataclass_fields__", {}))
    for name in node:
        key = str(name)
        if known and key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"allowed: {', '.join(known)}"
            yield renamed_key(f"{prefix}{key}") or f"{prefix}{key}: there is no such key; {hint}"
        child = node._get_node(name)
        if isinstance(child, DictConfig) and not child._is_none():
            yield from _added_keys(f"{prefix}{key}.", child)


def out_of_range(prefix: str, node: Any) -> Iterator[str]:
    """One line per knob of a dataclass that holds a value it may not hold."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        key = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from out_of_range(f"{key}.", value)
            continue
        allowed: Allowed | None = field.metadata.get("allowed")
        if not_finite(value):
            bounds = "" if allowed is None or not str(allowed) else f" {allowed}"
            yield f"{key}: {value} is not allowed; allowed: a finite number{bounds}"
            continue
        if allowed is None or allowed.admits(value):
            continue
        near = difflib.get_close_matches(str(value), allowed.names or (), n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        yield renamed_value(key, value) or f"{key}: {value!r} is not allowed; allowed: {allowed}{hint}"


def not_finite(value: Any) -> bool:
    """Whether a knob holds an infinite number or one that is not a number, also in its list or mapping."""
    if isinstance(value, dict):
        return any(map(not_finite, value.values()))
    if isinstance(value, list):
        return any(map(not_finite, value))
    return isinstance(value, float) and not math.isfinite(value)


def _names(run: RunConfig) -> Iterator[str]:
    """Names whose node has the knobs of another, and a recipe that is called as another method."""
    method, engine = run.method, run.engine
    for registry, chosen, node in ((METHODS, method.kind, method), (ENGINES, engine.name, engine)):
        if not isinstance(node, registry.schema_of(chosen)):
            allowed = f"{registry.node}={chosen}, or a file with its defaults"
            yield f"{registry.key}: {chosen} has other knobs than are set; allowed: {allowed}"
    if not re.fullmatch(r"[\w.-]+", method.name):
        yield f"method.name: {method.name!r} is not allowed; allowed: letters, digits, _, . and -"
    elif method.name in METHODS and method.name != method.kind:
        yield f"method.name: {method.name} is another method's; allowed: another name"


def _unquoted_labels(labels: list[Any] | None) -> Iterator[str]:
    for index, label in enumerate(labels or ()):
        if isinstance(label, bool):
            written = "yes, true or on" if label else "no, false or off"
            yield (
                f"task.labels[{index}]: {label!r} is not a text: YAML reads an unquoted {written} "
                "as a truth value; allowed: quoted labels, e.g. labels: ['yes', 'no']"
            )
        elif not isinstance(label, str):
            yield f"task.labels[{index}]: {label!r} is not a text; allowed: quoted labels, e.g. labels: ['{label}']"


def _combinations(run: RunConfig) -> Iterator[str]:
    if run.finetuning.epochs > run.finetuning.max_epochs:
        yield (
            f"finetuning.epochs: {run.finetuning.epochs} is not allowed; allowed: at most "
            f"finetuning.max_epochs={run.finetuning.max_epochs}"
        )
    tuning = run.finetuning
    if tuning.kind == "full" and tuning.optimizer == "adamw_8bit" and tuning.master_weights != "none":
        yield (
            f"finetuning.master_weights: {tuning.master_weights} is not allowed with finetuning.kind=full "
            "finetuning.optimizer=adamw_8bit; allowed: none"
        )
    if run.annotation.best_of < run.annotation.samples:
        yield (
            f"annotation.best_of: {run.annotation.best_of} is not allowed; allowed: at least "
            f"annotation.samples={run.annotation.samples}"
        )
    if run.annotation.samples > 1 and run.temperature.output == 0:
        yield (
            f"temperature.output: 0.0 is not allowed with annotation.samples={run.annotation.samples}: "
            "every vote would be the same; allowed: > 0, or annotation.samples=1 annotation.best_of=1"
        )
    if run.teacher.kind == "other" and (run.teacher.model is None or run.teacher.engine is None):
        yield "teacher.model: has no value; allowed: teacher=local teacher.model.path=… | teacher=openai | teacher=chat"
    yield from engine_problems("", run.engine, run.model)
    if run.model.prompt_format == "turns" and run.finetuning.kind != "none":
        yield (
            f"finetuning.kind: {run.finetuning.kind} is not allowed with model.prompt_format=turns, "
            "whose weights are the server's; allowed: none, or teacher=chat"
        )
    if run.teacher.engine is not None and run.teacher.model is not None:
        yield from engine_problems("teacher.", run.teacher.engine, run.teacher.model)
    if run.teacher.kind == "other" and run.annotation.annotator != "base":
        yield (
            f"annotation.annotator: {run.annotation.annotator} is not allowed; allowed: base, as teacher.kind=other "
            "(the teacher is not finetuned)"
        )
    if isinstance(run.method, LoopConfig):
        teacher = run.engine if run.teacher.engine is None else run.teacher.engine
        yield from loop_problems(run.method, teacher.name)
        yield from attribute_problems(run.method.attributes, run.task.context_until)
    if isinstance(run.method, SelfICLConfig):
        yield from self_icl_problems(run.method)
    if isinstance(run.method, RestConfig):
        yield from rest_problems(run.method, run.student.kind, run.task.inputs is not None)
    yield from _given_inputs(run)
    yield from demonstration_problems(run)
    if run.curation.correct and run.curation.kind == "dynamics":
        yield "curation.correct: true is not allowed with curation.kind=dynamics; allowed: false, or curation=clear"
    yield from budget_problems(run.budget)
    yield from _objective(run)
    if isinstance(run.method, LoopConfig):
        yield from vote_problems(run.method, run.annotation)
    influenced = isinstance(run.method, LoopConfig) and run.method.diagnose.source == "influence"
    yield from student_problems(run.student, run.task.family, influenced)
    if run.task.source == "json" and run.task.path is None and not (run.task.instruction and run.task.demonstrations):
        yield (
            "task.path: has no value; allowed: the path of a task file, task=json task.path=mine.json, or none with "
            "task.instruction and task.demonstrations: nothing is measured then"
        )
    if run.task.source in ("sni", "micro") and run.task.id is None:
        yield "task.id: has no value; allowed: a Super-NaturalInstructions id, task=sni task.id=task1344"
    yield from _training_split(run)
    if run.data.split != "seeded" and run.data.split_path is None:
        yield f"data.split_path: has no value; allowed: a folder, as data.split={run.data.split} reads it"


def _given_inputs(run: RunConfig) -> Iterator[str]:
    """A method that writes inputs of its own and has no step for given ones."""
    method = run.method
    looped = isinstance(method, LoopConfig) and method.initial_data.source != "selfguide"
    streamed = isinstance(method, SelfICLConfig) and method.variant == "test_conditioned"
    if run.task.inputs is not None and (looped or streamed):
        yield (
            f"task.inputs: is not allowed with method={method.name}, which writes inputs of its own kind; "
            "allowed: method=selfguide | selfguide_extrapolate | rest | self_icl, or null"
        )


def _objective(run: RunConfig) -> Iterator[str]:
    """Where there are no votes to prefer by, or no adapter to switch off."""
    objective, settings = run.finetuning.objective, run.finetuning
    if objective == "sft":
        return
    chosen = f"finetuning.objective: {objective} is not allowed with"
    if run.method.kind not in ("selfguide", "rest") or run.student.kind != "causal":
        yield (
            f"{chosen} method={run.method.name} student={run.student.kind}; "
            "allowed: sft, or method=selfguide | rest with student=causal (winners and losers of their votes)"
        )
    if settings.kind == "full" or settings.processes > 1:
        yield (
            f"{chosen} finetuning.kind={settings.kind} "
            f"finetuning.processes={settings.processes}; allowed: sft, or adapters on one device"
        )
    if run.budget.kind != "none":
        yield f"{chosen} budget.kind={run.budget.kind}; allowed: sft, or budget=none"


def _training_split(run: RunConfig) -> Iterator[str]:
    """What does not fit a data set that comes with a training split of its own."""
    hub, limit = run.task.hub, run.evaluation.limit
    if run.task.source != "hub" or hub.train_split is None:
        return
    if hub.train_split == hub.split:
        yield f"task.hub.train_split: {hub.train_split} is not allowed; allowed: another than task.hub.split, or null"
    if run.data.split != "seeded":
        yield (
            f"data.split: {run.data.split} is not allowed; allowed: seeded, as task.hub.train_split={hub.train_split} "
            "(null: the rows of task.hub.split are split again)"
        )
    if run.evaluation.split == "validation" and limit is None:
        yield (
            "evaluation.limit: null is not allowed; allowed: >= 1, as evaluation.split=validation with "
            f"task.hub.train_split={hub.train_split} is the whole training split"
        )


def one_line(error: BaseException) -> str:
    """A Hydra or OmegaConf error as one line: key, value, what is allowed."""
    key = getattr(error, "full_key", None)
    message = str(error.__cause__ or error) if key is None else str(error)
    first = message.strip().splitlines()[0]
    return f"{key}: {first}" if key and key not in first else first
