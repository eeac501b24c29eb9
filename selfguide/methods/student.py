"""From a method's pairs to its student: what every method that trains does in the same way.

Curation, added demonstrations, budget, then the language model finetuned or an encoder trained, always from
fresh weights.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfguide.config.identity import knobs_of
from selfguide.core.errors import ConfigError
from selfguide.core.seeding import child_random
from selfguide.core.types import Example
from selfguide.evaluation.contender import Contender
from selfguide.methods.curation import curated
from selfguide.methods.outcome import Outcome
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.store import Journal, fingerprint
from selfguide.synthesis.budget import Footing, fit_rows, footing
from selfguide.synthesis.dataset import marked, still_in
from selfguide.training.stages import training_stage


@dataclass(frozen=True, slots=True)
class Student:
    """What was trained: the weights after each epoch, or an encoder; neither where no row was left.

    `rows` are what it learned from, copies of demonstrations included, each once however often it was repeated;
    `left_out` says why a pair is not among them, where it was not the budget.
    """

    epochs: tuple[Weights, ...]
    encoder: "EncoderAnswerer | None"
    rows: tuple[Example, ...]
    left_out: Mapping[Example, str] = field(default_factory=dict)
    footing: Footing | None = None

    def answers_for(self, outcome: Outcome, epoch: int) -> Outcome:
        """The outcome with this student, at `epoch`, as what answers, and of its pairs those that it was trained on."""
        pairs = still_in(outcome.pairs, self.rows)
        said = self.footing.warning if self.footing is not None else None
        if not self.rows:
            said = "curation and budget left no row to train on; the base model's score stands for the method"
        return self._answering(
            replace(
                outcome,
                status=outcome.status if self.rows else "empty_dataset",
                pairs=pairs,
                candidates=marked(outcome.candidates, pairs, lambda pair: self.left_out.get(pair, "budget")),
                demonstration_copies=len(self.rows) - len(pairs),
                footing=self.footing,
                warnings=(*outcome.warnings, *([said] if said else ())),
            ),
            epoch,
        )

    def contender(self, epoch: int) -> Contender:
        """The same for an evaluation of its own."""
        return self._answering(Outcome(), epoch).contender or Contender()

    def _answering(self, outcome: Outcome, epoch: int) -> Outcome:
        if self.encoder is not None:
            return replace(outcome, answerer=self.encoder)
        if not self.epochs:
            return outcome
        return replace(outcome, weights=self.epochs[min(epoch, len(self.epochs)) - 1], epochs=self.epochs)


def trains(session: Session) -> bool:
    """Whether a student is trained at all (`finetuning=none`: the language model stays as it is)."""
    return session.config.student.kind == "encoder" or session.config.finetuning.kind != "none"


def train_student(
    session: Session,
    pairs: Sequence[Example],
    name: str = "training",
    copies: int | None = None,
    given: Collection[Example] = (),
    validation: Sequence[Example] = (),
) -> Student:
    """A student of `pairs` and `copies` (None: `finetuning.added_demonstrations`) of each demonstration.

    Those of the pairs that are `given` (gold, demonstrations) are not synthetic: curation leaves them alone. The
    copies are the same for all methods, so rows and tokens of a budget do not count them. A demonstration's row holds
    the others alone in its context, so that the answer is not in its own prompt. An encoder's epoch is chosen on the
    synthetic `validation` rows, if there are any.
    """
    config, shown = session.config, session.task.demonstrations
    curated_pairs = curated(session, pairs, given, f"{name}_curation")
    left_out = dict.fromkeys(set(pairs) - set(curated_pairs), "curated")
    own = within_budget(session, curated_pairs)
    added = shown * (config.finetuning.added_demonstrations if copies is None else copies)
    rows: Sequence[Example] = (*own, *added)
    if not rows:
        return Student((), None, (), left_out)
    encoder, epochs = None, tuple[Weights, ...]()
    if config.student.kind == "encoder":
        seen = _seen(session, rows, config.student.encoder.batch_size)
        encoder = encoder_stage(session, name, rows, validation)
    else:
        settings, alone = config.finetuning, bool(added) or bool({*shown} & {*given} & {*own})
        seen = _seen(session, rows, settings.batch_size)
        if config.budget.kind == "equal_steps":
            settings = replace(settings, max_epochs=1, epochs=1)
        trained = training_stage(session, name, seen, leave_one_out=alone, finetuning=settings)
        epochs = trained.epochs
        if trained.over_length:
            fitting = _fitting(session, seen, alone)
            left_out |= dict.fromkeys(set(seen) - set(fitting), "over_length")
            seen = fitting
    learned = still_in(rows, seen)
    return Student(epochs, encoder, learned, left_out, _footing(session, curated_pairs, still_in(own, learned), name))


def within_budget(session: Session, pairs: Sequence[Example]) -> list[Example]:
    """The pairs that `budget` admits."""
    return fit_rows(pairs, session.config.budget, session.task.labels, session.config.seed, _lengths(session, pairs))


def _lengths(session: Session, pairs: Sequence[Example]) -> list[int]:
    """Answer tokens of each pair, where the budget goes by them."""
    if session.config.budget.kind != "equal_tokens":
        return []
    return [len(session.tokenizer.encode_answer(pair.output)) for pair in pairs]


def _footing(session: Session, own: Sequence[Example], learned: Sequence[Example], name: str) -> Footing | None:
    """Of a training on `learned` of its `own` pairs."""
    longest, steps = max(_lengths(session, own), default=0), session.stages[name].info["steps"]
    return footing(session.config.budget, len(learned), _lengths(session, learned), longest, steps)


def _seen(session: Session, rows: Sequence[Example], batch_size: int) -> list[Example]:
    """The rows as a training goes through them: with equal steps as often as those take, the last pass cut short."""
    budget = session.config.budget
    if budget.kind != "equal_steps":
        return list(rows)
    assert budget.steps is not None
    return _repeated(rows, budget.steps * batch_size, session.config.seed)


def _fitting(session: Session, rows: Sequence[Example], leave_one_out: bool) -> list[Example]:
    """The rows that were not left out as too long. A finished training keeps their number alone."""
    from selfguide.training.rows import build_rows

    config = session.config
    built = build_rows(session.task, rows, session.tokenizer, config.finetuning, config.seed, leave_one_out)
    long = set(built.left_out)
    return [row for place, row in enumerate(rows) if place not in long]


def encoder_stage(
    session: Session, name: str, pairs: Sequence[Example], validation: Sequence[Example] = ()
) -> "EncoderAnswerer":
    """An encoder with a classification layer, trained on `pairs` from its published weights.

    Its epoch is chosen on `validation`; without, on a share of `pairs` that it does not learn from.
    """
    from selfguide.models.loading import pick_device
    from selfguide.training.encoder.base import encoder_identity

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
        "encoder": {**knobs_of(config, "encoder"), "identity": encoder_identity(config)},
        "labels": list(task.labels),
        "context_until": task.context_until,
        "pairs": fingerprint([(p.input, p.output) for p in pairs]),
        "seed": session.config.seed,
    }
    if validation:
        spec["validation"] = fingerprint([(p.input, p.output) for p in validation])
    device = pick_device(getattr(session.config.engine, "device", "auto"))

    def build(work: Path) -> dict[str, Any]:
        from selfguide.training.encoder.train import EncoderData, train_encoder

        session.free_device()
        with session.terminal.bar(f"encoder ({name})", None, "steps") as bar:
            data = EncoderData(task.labels, pairs, validation, task.context_until)
            done = train_encoder(config, data, work, session.config.seed, device, bar)
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
        from selfguide.training.encoder.predict import EncoderClassifier

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
