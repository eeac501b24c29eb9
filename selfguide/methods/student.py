"""From a method's pairs to its student: what every method that trains does in the same way.

Curation, added demonstrations, budget, then the language model finetuned or an encoder trained, always from
fresh weights.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selfguide.config.builtin import STUDENTS
from selfguide.core.errors import ConfigError
from selfguide.core.seeding import child_random
from selfguide.core.types import Example
from selfguide.evaluation.predict import BASE, System
from selfguide.methods.curation import curated
from selfguide.methods.result import MethodResult
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.store import Finished, StoredStage
from selfguide.synthesis.budget import BudgetReport, budget_report, fit_rows
from selfguide.synthesis.dataset import marked, still_in
from selfguide.synthesis.verdicts import Verdicts
from selfguide.training.encoder.stage import EncoderPredictor, TrainEncoder, TrainSpanEncoder
from selfguide.training.stages import train


@dataclass(frozen=True, slots=True)
class Student:
    """What was trained: the weights after each epoch, or an encoder; neither where no row was left.

    `rows` are what it learned from, copies of demonstrations included, each once however often it was repeated;
    `left_out` says why a pair is not among them, where it was not the budget.
    """

    epochs: tuple[Weights, ...]
    encoder: EncoderPredictor | None
    rows: tuple[Example, ...]
    left_out: Mapping[Example, str] = field(default_factory=dict)
    budget: BudgetReport | None = None
    training: StoredStage | None = None
    corrected: Mapping[Example, Example] = field(default_factory=dict)
    verdicts: Verdicts | None = None

    def answers_for(self, result: MethodResult, epoch: int) -> MethodResult:
        """The result with this student, at `epoch`, as what answers, and of its pairs those that it was trained on."""
        if self.verdicts is not None:
            said = {"judge": self.verdicts.report(result.candidates)}
            result = replace(result, diagnostics={**result.diagnostics, **said})
        result = corrected_result(result, self.corrected)
        pairs = still_in(result.pairs, self.rows)
        warning = self.budget.warning if self.budget is not None else None
        if not self.rows:
            warning = "curation and budget left no row to train on; the base model's score stands for the method"
        return self._answering(
            replace(
                result,
                status=result.status if self.rows else "empty_dataset",
                pairs=pairs,
                candidates=marked(result.candidates, pairs, lambda pair: self.left_out.get(pair, "budget")),
                demonstration_copies=len(self.rows) - len(pairs),
                budget=self.budget,
                warnings=(*result.warnings, *([warning] if warning else ())),
            ),
            epoch,
        )

    def system(self, epoch: int) -> System:
        """The same for an evaluation of its own."""
        return self._answering(MethodResult(), epoch).system or BASE

    def _answering(self, result: MethodResult, epoch: int) -> MethodResult:
        if self.encoder is not None:
            return replace(result, predictor=self.encoder)
        if not self.epochs:
            return result
        return replace(result, weights=self.epochs[min(epoch, len(self.epochs)) - 1], epochs=self.epochs)


def corrected_result(result: MethodResult, corrected: Mapping[Example, Example]) -> MethodResult:
    """The result with the outputs that curation gave to some of its pairs."""
    candidates = tuple(
        replace(c, output=corrected[pair].output)
        if c.dropped is None and c.output is not None and (pair := Example(c.input, c.output)) in corrected
        else c
        for c in result.candidates
    )
    return replace(result, candidates=candidates, pairs=tuple(corrected.get(pair, pair) for pair in result.pairs))


def trains(session: Session) -> bool:
    """Whether a student is trained at all (`finetuning=none`: the language model stays as it is)."""
    return session.config.student.kind != "causal" or session.config.finetuning.kind != "none"


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
    curated_pairs, corrected, verdicts = curated(session, pairs, given, f"{name}_curation")
    left_out = dict.fromkeys(set(pairs) - set(curated_pairs), "curated")
    if config.student.kind == "encoder_qa":
        from selfguide.training.encoder.spans import has_span

        elsewhere = [pair for pair in curated_pairs if not has_span(pair, session.task.context_until)]
        left_out |= dict.fromkeys(elsewhere, "no_span")
        curated_pairs = tuple(pair for pair in curated_pairs if pair not in left_out)
    fitting = within_budget(session, curated_pairs)
    added = shown * (config.finetuning.added_demonstrations if copies is None else copies)
    rows: Sequence[Example] = (*fitting, *added)
    if not rows:
        return Student((), None, (), left_out, corrected=corrected, verdicts=verdicts)
    encoder, epochs = None, tuple[Weights, ...]()
    if config.student.kind != "causal":
        seen = passes(session, rows, config.student.encoder.batch_size)
        predictor = STUDENTS.load(config.student.kind)(session, name, seen, validation)
        encoder, training = predictor.value, predictor.stored
    else:
        settings, alone = config.finetuning, bool(added) or bool({*shown} & {*given} & {*fitting})
        seen = passes(session, rows, settings.batch_size)
        if config.budget.kind == "equal_steps":
            settings = replace(settings, max_epochs=1, epochs=1)
        finetuned = train(session, name, seen, leave_one_out=alone, finetuning=settings)
        epochs, training = finetuned.value.epochs, finetuned.stored
        if finetuned.value.over_length:
            short = short_enough(session, seen, alone)
            left_out |= dict.fromkeys(set(seen) - set(short), "over_length")
            seen = short
    learned = still_in(rows, seen)
    report = _report(session, curated_pairs, still_in(fitting, learned), training.info["steps"])
    return Student(epochs, encoder, learned, left_out, report, training, corrected, verdicts)


def within_budget(session: Session, pairs: Sequence[Example]) -> list[Example]:
    """The pairs that `budget` admits."""
    return fit_rows(pairs, session.config.budget, session.task.labels, session.config.seed, _lengths(session, pairs))


def train_encoder(
    session: Session, name: str, pairs: Sequence[Example], validation: Sequence[Example] = ()
) -> Finished[EncoderPredictor]:
    """The encoder of `student.encoder`, trained on `pairs`. Raises `ConfigError` for a task that it cannot answer."""
    from selfguide.models.loading import pick_device

    config, task = session.config, session.task
    spans = config.student.kind == "encoder_qa"
    if spans == bool(task.labels):
        has, other = ("labels", "encoder") if spans else ("no labels", "encoder_qa")
        refused = f"student.kind: {config.student.kind} is not allowed for {task.name}: it has {has}"
        raise ConfigError(f"{refused}; allowed: causal | {other}")
    settings = config.student.encoder
    if config.budget.kind == "equal_steps":
        settings = replace(settings, epochs=1)
    content: dict[str, Any] = {
        "encoder": settings,
        "labels": task.labels,
        "context_until": task.context_until,
        "pairs": tuple(pairs),
        "validation": tuple(validation),
        "seed": config.seed,
        "device": pick_device(getattr(config.engine, "device", "auto")),
    }
    if spans:
        return session.run(name, TrainSpanEncoder(**content, instruction=task.instruction, spans=config.student.spans))
    return session.run(name, TrainEncoder(**content))


def passes(session: Session, rows: Sequence[Example], batch_size: int) -> list[Example]:
    """The rows as a training goes through them: with equal steps as often as those take, the last pass cut short.

    Each pass is in its own seeded order.
    """
    budget, passed = session.config.budget, list[Example]()
    if budget.kind != "equal_steps":
        return list(rows)
    assert budget.steps is not None
    count = budget.steps * batch_size
    while rows and len(passed) < count:
        passed += child_random(session.config.seed, "passes", len(passed)).sample(list(rows), len(rows))
    return passed[:count]


def short_enough(session: Session, rows: Sequence[Example], leave_one_out: bool) -> list[Example]:
    """The rows that were not left out as too long. A finished training keeps their number alone."""
    from selfguide.training.rows import build_rows

    config = session.config
    built = build_rows(session.task, rows, session.tokenizer, config.finetuning, config.seed, leave_one_out)
    long = set(built.left_out)
    return [row for index, row in enumerate(rows) if index not in long]


def _lengths(session: Session, pairs: Sequence[Example]) -> list[int]:
    """Answer tokens of each pair, where the budget goes by them."""
    if session.config.budget.kind != "equal_tokens":
        return []
    return [len(session.tokenizer.encode_answer(pair.output)) for pair in pairs]


def _report(session: Session, pairs: Sequence[Example], learned: Sequence[Example], steps: int) -> BudgetReport | None:
    """Of a training of `steps` on `learned` of its `pairs`."""
    longest = max(_lengths(session, pairs), default=0)
    return budget_report(session.config.budget, len(learned), _lengths(session, learned), longest, steps)
