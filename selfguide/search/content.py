"""What decides a run's score beside its knobs, by what it is: task and gold, models, engines.

A study is bound to this, a frozen setting records it and a run is identified by it, so that a moved file changes
nothing and an edited one everything.
"""

import dataclasses
import hashlib
from typing import Any

from selfguide import __version__
from selfguide.config.identity import run_values
from selfguide.config.schema import RunConfig
from selfguide.config.serving import EngineConfig, ModelConfig
from selfguide.core.errors import ConfigError
from selfguide.core.files import canonical_json
from selfguide.core.types import Split, TaskSpec
from selfguide.models.build import engine_identity
from selfguide.models.source import model_identity
from selfguide.tasks.load import load_task

_TASKS: dict[str, dict[str, Any]] = {}


def run_identity(run: RunConfig) -> str:
    """12 hex digits, the same for runs of the same result: knobs, models, task, gold, version of this program."""
    content = {
        "knobs": run_values(run),
        "models": models_content(run),
        "data": data_settings(run),
        "task": _whole_task(run),
        "version": __version__,
    }
    return _digest(content)


def data_settings(run: RunConfig) -> dict[str, Any]:
    """How gold is split: a frozen setting holds for this split alone."""
    data = run.data
    return {"split": data.split, "validation_fraction": data.validation_fraction, "split_seed": data.split_seed}


def task_content(run: RunConfig, split: Split) -> dict[str, Any]:
    """The task of a run: name, metric, what its prompts are made of, and hash and number of the gold instances.

    Raises ConfigError for a validation split of a test task that holds instances of its test split.
    """
    task, gold = load_task(run.task, run.data, 0)
    if split == "validation" and gold.identity.group == "test" and (tests := gold.test_instances(split)):
        raise ConfigError(
            f"data: {tests} of the {gold.count(split)} validation instances of {task.name} are of its published test "
            "split; allowed: data.split, data.validation_fraction and data.split_seed as they are by default"
        )
    return {
        "task": task.name,
        "metric": task.metric,
        "split": split,
        "hash": gold.hash(split),
        "n": gold.count(split),
        "prompt": prompt_content(run, task),
    }


def prompt_content(run: RunConfig, task: TaskSpec) -> dict[str, Any]:
    """What a method sees of a task, texts as 12 hex digits; the same for every `seed` of the run."""
    chosen = task.demonstrations
    if run.task.demonstration_choice == "seeded":
        # A sweep's seeds differ, and so do their choices: those of seed 0 stand for the file's.
        chosen = load_task(run.task, run.data, 0)[0].demonstrations
    return {
        "family": task.family,
        "labels": list(task.labels),
        "label_extraction": task.label_extraction,
        "noise_terms": list(task.noise_terms),
        "context_until": task.context_until,
        "instruction": _digest(task.instruction),
        "demonstrations": len(chosen),
        "demonstration_texts": _digest([[shown.input, shown.output] for shown in chosen]),
        "demonstration_choice": run.task.demonstration_choice,
        **({"inputs": _digest(task.inputs)} if task.inputs else {}),
    }


def models_content(run: RunConfig) -> dict[str, Any]:
    """The student, its engine, and where there are such: the teacher, and the encoder that is trained."""
    teacher = run.teacher
    content: dict[str, Any] = {"model": _model(run.model), "engine": engine_identity(run.engine)}
    if teacher.kind == "other":
        assert isinstance(teacher.model, ModelConfig) and isinstance(teacher.engine, EngineConfig)
        content["teacher"] = {**_model(teacher.model), "engine": engine_identity(teacher.engine)}
    if run.student.kind in ("encoder", "encoder_qa"):
        from selfguide.training.encoder.base import encoder_identity

        content["encoder"] = encoder_identity(run.student.encoder)
    return content


def _whole_task(run: RunConfig) -> dict[str, Any]:
    # A task file is read once, not once for each seed, unless the seed chooses the demonstrations.
    seed = run.seed if run.task.demonstration_choice == "seeded" else 0
    key = canonical_json([dataclasses.asdict(run.task), dataclasses.asdict(run.data), seed])
    if key not in _TASKS:
        task, gold = load_task(run.task, run.data, seed)
        # Hashing gold is no opening of it.
        _TASKS[key] = {"task": dataclasses.asdict(task), "gold": [gold.hash("validation"), gold.hash("test")]}
    return _TASKS[key]


def _model(model: ModelConfig) -> dict[str, Any]:
    return {"identity": model_identity(model), "dtype": model.dtype, "context_length": model.context_length}


def _digest(content: Any) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:12]
