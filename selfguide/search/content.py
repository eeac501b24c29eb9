"""What decides a run's score beside the method's knobs, by what it is: task and gold, models, engine.

A study is bound to this and a lock records it, so that a moved file changes nothing and an edited
one everything.
"""

import hashlib
from typing import Any

from selfguide.config.schema import EngineConfig, ModelConfig, RunConfig
from selfguide.core.files import canonical_json
from selfguide.core.types import Split, TaskSpec
from selfguide.models.build import engine_identity
from selfguide.models.source import model_identity
from selfguide.tasks.load import load_task


def task_content(run: RunConfig, split: Split) -> dict[str, Any]:
    """The task of a run: name, metric, what its prompts are made of, and hash and number of the gold instances."""
    task, gold = load_task(run.task, run.data, 0)
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
        "demonstration_texts": _digest([[one.input, one.output] for one in chosen]),
        "demonstration_choice": run.task.demonstration_choice,
    }


def models_content(run: RunConfig) -> dict[str, Any]:
    """The student, its engine, and where there are such: the teacher, and the encoder that is trained."""
    own = run.teacher
    content: dict[str, Any] = {"model": _model(run.model), "engine": engine_identity(run.engine)}
    if own.kind == "other":
        assert isinstance(own.model, ModelConfig) and isinstance(own.engine, EngineConfig)
        content["teacher"] = {**_model(own.model), "engine": engine_identity(own.engine)}
    if run.student.kind == "encoder":
        from selfguide.training.encoder.base import encoder_identity

        content["encoder"] = encoder_identity(run.student.encoder)
    return content


def _model(model: ModelConfig) -> dict[str, Any]:
    return {"identity": model_identity(model), "dtype": model.dtype, "context_length": model.context_length}


def _digest(content: Any) -> str:
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()[:12]
