"""From a method's pairs to its student: what every method that trains does in the same way.

Curation, added demonstrations, budget, then the language model finetuned or an encoder trained, always from
fresh weights.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfguide.engines.base import Weights
from selfguide.errors import ConfigError
from selfguide.evaluation.contender import Contender
from selfguide.methods.curation import curate_stage
from selfguide.methods.outcome import Outcome
from selfguide.seeding import child_random
from selfguide.session import Session, fields_of
from selfguide.stages import fingerprint, training_stage
from selfguide.store.atomic import Journal
from selfguide.synthesis.budget import fit_rows
from selfguide.types import Example


@dataclass(frozen=True, slots=True)
class Student:
    """What was trained: the weights after each epoch, or an encoder. `rows` are the pairs that it saw."""

    epochs: tuple[Weights, ...]
    encoder: "EncoderAnswerer | None"
    rows: tuple[Example, ...]

    def answers_for(self, outcome: Outcome, epoch: int) -> Outcome:
        """The outcome with this student, at `epoch`, as what answers."""
        if self.encoder is not None:
            return replace(outcome, answerer=self.encoder)
        return replace(outcome, weights=self.epochs[min(epoch, len(self.epochs)) - 1], epochs=self.epochs)

    def contender(self, epoch: int) -> Contender:
        """The same for an evaluation of its own."""
        return self.answers_for(Outcome(), epoch).contender or Contender()


def trains(session: Session) -> bool:
    """Whether a student is trained at all (`finetuning=none`: the language model stays as it is)."""
    return session.config.student.kind == "encoder" or session.config.finetuning.kind != "none"


def train_student(
    session: Session,
    pairs: Sequence[Example],
    name: str = "training",
    copies: int | None = None,
    validation: Sequence[Example] = (),
) -> Student:
    """A student of `pairs` and `copies` (None: `finetuning.added_demonstrations`) of each demonstration.

    A demonstration's row holds the others alone in its context, so that the answer is not in its own prompt.
    An encoder's epoch is chosen on the synthetic `validation` rows, if there are any.
    """
    config = session.config
    pairs = curate_stage(session, pairs, f"{name}_curation")
    added = session.task.demonstrations * (config.finetuning.added_demonstrations if copies is None else copies)
    rows = within_budget(session, (*pairs, *added))
    if config.student.kind == "encoder":
        return Student((), encoder_stage(session, name, rows, validation), tuple(rows))
    settings = config.finetuning
    if config.budget.kind == "equal_steps":
        assert config.budget.steps is not None
        rows = _repeated(rows, config.budget.steps * settings.batch_size, config.seed)
        settings = replace(settings, max_epochs=1, epochs=1)
    trained = training_stage(session, name, rows, leave_one_out=bool(added), finetuning=settings)
    return Student(trained.epochs, None, tuple(rows))


def within_budget(session: Session, pairs: Sequence[Example]) -> list[Example]:
    """The pairs that `budget` admits."""
    budget = session.config.budget
    lengths: list[int] = []
    if budget.kind == "equal_tokens":
        lengths = [len(session.tokenizer.encode_answer(pair.output)) for pair in pairs]
    return fit_rows(pairs, budget, session.task.labels, session.config.seed, lengths)


def encoder_stage(
    session: Session, name: str, pairs: Sequence[Example], validation: Sequence[Example] = ()
) -> "EncoderAnswerer":
    """An encoder with a classification layer, trained on `pairs` from its published weights.

    Its epoch is chosen on `validation`; without, on a share of `pairs` that it does not learn from.
    """
    from selfguide.encoder.base import encoder_identity
    from selfguide.models import pick_device

    config, task = session.config.student.encoder, session.task
    if not task.labels:
        raise ConfigError(f"student.kind: encoder is not allowed for {task.name}: it has no labels; allowed: causal")
    budget = session.config.budget
    if budget.kind == "equal_steps":
        assert budget.steps is not None
        pairs = _repeated(pairs, budget.steps * config.batch_size, session.config.seed)
        config = replace(config, epochs=1)
    spec = {
        "version": 1,
        "encoder": {**fields_of(config, without=("path", "revision")), "identity": encoder_identity(config)},
        "labels": list(task.labels),
        "context_until": task.context_until,
        "pairs": fingerprint([(p.input, p.output) for p in pairs]),
        "seed": session.config.seed,
    }
    if validation:
        spec["validation"] = fingerprint([(p.input, p.output) for p in validation])
    device = pick_device(getattr(session.config.engine, "device", "auto"))

    def build(work: Path) -> dict[str, Any]:
        from selfguide.encoder.train import train_encoder

        session.free_device()
        with session.terminal.bar(f"encoder ({name})", None, "steps") as bar:
            done = train_encoder(
                config,
                task.labels,
                pairs,
                work,
                session.config.seed,
                device,
                bar,
                validation=validation,
                context_until=task.context_until,
            )
        return {
            "rows": done.trained,
            "held_out": done.held_out,
            "over_length": done.cut,
            "steps": done.steps,
            "chosen_epoch": done.chosen,
            "trained_tokens": done.trained_tokens,
            "init": done.init,
        }

    stage = session.stage(name, "encoder", spec, build)
    return EncoderAnswerer(stage.path / "encoder", stage.key, task.labels, device)


class EncoderAnswerer:
    """Answers with the likeliest label of a trained encoder."""

    def __init__(self, folder: Path, key: str, labels: Sequence[str], device: str) -> None:
        self.folder, self.labels, self.device = folder, tuple(labels), device
        self.identity = f"encoder+{key}"

    def answer(
        self, inputs: Sequence[str], journal: Journal, progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """One label per input; seconds of work, so a killed run does it again."""
        from selfguide.encoder.predict import EncoderClassifier

        answers = EncoderClassifier.load(self.folder, self.labels, self.device).labels_of(inputs)
        if progress is not None:
            progress(len(answers))
        return answers


def _repeated(pairs: Sequence[Example], count: int, seed: int) -> list[Example]:
    """`count` rows: whole passes over the pairs, each in its own seeded order, the last one cut short."""
    rows: list[Example] = []
    while pairs and len(rows) < count:
        rows += child_random(seed, "passes", len(rows)).sample(list(pairs), len(pairs))
    return rows[:count]
