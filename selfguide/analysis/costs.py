"""What a method took to make, from its stages. A stage found in the store counts as when it was computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from selfguide.config.schema import RunConfig
from selfguide.config.serving import EngineConfig
from selfguide.store import StoredStage

# Kinds of stages whose calls make data; all others are the student's.
TEACHER = ("plan", "inputs", "outputs", "proposals")


@dataclass(frozen=True, slots=True)
class Costs:
    """Calls are completions asked of an engine (a vote of 20 samples is 20).

    Those of the teacher make the data and are the unit of the published cost models, whoever the teacher is; the
    student's diagnose, score and answer. Calls are None where a stage was kept by a version that did not count them.
    `trained_tokens` are those the loss was on, over all epochs; `device_seconds` the time of stages that call or
    train, by the local devices of what spoke or trained; `kept` the unique synthetic rows that were trained on, also
    by 1,000 calls of the teacher.
    """

    calls: int | None
    prompt_tokens: int
    generated_tokens: int
    teacher_calls: int | None
    teacher_prompt_tokens: int
    teacher_generated_tokens: int
    student_calls: int | None
    student_prompt_tokens: int
    student_generated_tokens: int
    trained_tokens: int
    steps: int
    device_seconds: float
    kept: int
    kept_per_1000_calls: float | None


@dataclass(frozen=True, slots=True)
class Devices:
    """Local devices of the engine that the teacher and the student speak through (0: a server's) and of the trainer."""

    teacher: int = 1
    student: int = 1
    training: int = 1

    @classmethod
    def of_run(cls, config: RunConfig) -> Self:
        """As a run is configured."""
        student = _behind(config.engine)
        other = config.teacher.engine if config.teacher.kind == "other" else None
        return cls(student if other is None else _behind(other), student, config.finetuning.processes)

    def of(self, stage: StoredStage) -> int:
        """Those that a stage ran on."""
        if stage.kind == "encoder" or (stage.kind == "influence" and "tokens" not in stage.info):
            return 1
        if "steps" in stage.info:
            return self.training
        if "tokens" not in stage.info:
            return 0
        if stage.info["tokens"].get("calls") == 0:
            return 1  # an encoder answered
        return self.teacher if stage.kind in TEACHER else self.student


def costs(stages: Mapping[str, StoredStage], kept: int, devices: Devices | None = None) -> Costs:
    """The sum over stages, each once, whatever names it has."""
    devices = devices or Devices()
    unique = list({(stage.kind, stage.key): stage for stage in stages.values()}.values())
    spoken = [(stage.kind in TEACHER, stage.info["tokens"]) for stage in unique if "tokens" in stage.info]
    calls, prompt, generated = _sums([count for _, count in spoken])
    teacher_calls, teacher_prompt, teacher_generated = _sums([count for teaches, count in spoken if teaches])
    student_calls, student_prompt, student_generated = _sums([count for teaches, count in spoken if not teaches])
    return Costs(
        calls=calls,
        prompt_tokens=prompt,
        generated_tokens=generated,
        teacher_calls=teacher_calls,
        teacher_prompt_tokens=teacher_prompt,
        teacher_generated_tokens=teacher_generated,
        student_calls=student_calls,
        student_prompt_tokens=student_prompt,
        student_generated_tokens=student_generated,
        trained_tokens=sum(stage.info.get("trained_tokens", 0) for stage in unique),
        steps=sum(stage.info.get("steps", 0) for stage in unique),
        device_seconds=round(sum(stage.seconds * devices.of(stage) for stage in unique), 3),
        kept=kept,
        kept_per_1000_calls=round(1000 * kept / teacher_calls, 1) if teacher_calls else None,
    )


def _behind(engine: EngineConfig) -> int:
    return getattr(engine, "tensor_parallel_size", 0 if engine.name == "openai" else 1)


def _sums(counts: Sequence[Mapping[str, int]]) -> tuple[int | None, int, int]:
    """Calls, prompt tokens, generated tokens."""
    calls = sum(count["calls"] for count in counts) if all("calls" in count for count in counts) else None
    return calls, sum(count["prompt"] for count in counts), sum(count["generated"] for count in counts)
