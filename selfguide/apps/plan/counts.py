"""What a run asks of its models, from its configuration alone: calls, tokens, trainings, weights. Pure.

Estimates where the data decide: `kept` of the proposals pass the filters, a student errs on `errors` of the gold.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from selfguide.config.builtin import METHODS
from selfguide.config.loop import LoopConfig, feedback_points
from selfguide.config.methods import GepaConfig, GoldFinetuneConfig, RestConfig, SelfICLConfig
from selfguide.config.plan_table import AssumedConfig
from selfguide.config.schema import RunConfig

VOTES_KEPT = 0.8


class Lengths(NamedTuple):
    """Tokens of a task's texts, and how many demonstrations, labels and instances it has."""

    instruction: float
    input: float
    output: float
    demonstrations: int
    labels: int

    @property
    def answer(self) -> float:
        """Tokens of the prompt for an answer."""
        return self.instruction + self.demonstrations * (self.input + self.output) + self.input


@dataclass
class Work:
    """Sums. Tokens `trained` are those put through the model, prompts and all epochs included."""

    teacher_calls: float = 0.0
    teacher_prompt: float = 0.0
    teacher_generated: float = 0.0
    student_calls: float = 0.0
    student_prompt: float = 0.0
    student_generated: float = 0.0
    encoder_tokens: float = 0.0
    trainings: float = 0.0
    trained: float = 0.0
    texts: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        return Work(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Piece:
    """Work that the store does once for all runs of the same `key`."""

    key: str
    work: Work = field(default_factory=Work)


def pieces(run: RunConfig, lengths: Lengths, assumed: AssumedConfig) -> Iterator[Piece]:
    """The baseline, which all methods share; the data, which those share that make the same; the rest."""
    instances = min(run.evaluation.limit or assumed.instances, assumed.instances)
    asked = _answers(instances, lengths)
    yield Piece(f"baseline {run.task.name} {run.model.path} {run.evaluation}", asked)
    count, made = _data(run, lengths, assumed)
    method = run.method
    rounds = _rounds(method) if isinstance(method, LoopConfig) else 0
    alone = "" if rounds == 0 else f"{run.budget} {run.student} {run.finetuning}"
    if made.teacher_calls:
        parts = (run.generation, run.filters, run.annotation.annotator, run.temperature, run.teacher, run.model.path)
        content = method if isinstance(method, LoopConfig | RestConfig) else "selfguide"
        yield Piece(f"data {run.task.name} {run.seed} {parts} {content} {alone}", made)
    if isinstance(method, SelfICLConfig) and method.variant == "test_conditioned":
        yield Piece(f"{run}", _self_icl(method, instances, lengths))
        return
    own = _trainings(run, count, rounds, lengths)
    if isinstance(method, GepaConfig):
        own += _answers(method.calls, lengths)
    if run.student.kind == "causal" or not own.trainings:
        answered = asked
        if method.kind == "self_icl":
            shown = min(count, 4000 / max(lengths.input + lengths.output, 1))
            answered = _answers(instances, lengths._replace(demonstrations=int(lengths.demonstrations + shown)))
        own += answered
    else:
        own += Work(encoder_tokens=instances * lengths.input)
    yield Piece(f"{run}", own if method.kind != "few_shot_icl" else Work())


def _answers(count: float, lengths: Lengths) -> Work:
    return Work(
        student_calls=count,
        student_prompt=count * lengths.answer,
        student_generated=count * lengths.output,
        texts=count * (lengths.input + lengths.output),
    )


def _data(run: RunConfig, lengths: Lengths, assumed: AssumedConfig) -> tuple[float, Work]:
    """Rows to train on, and the teacher's work for them."""
    method = run.method
    if isinstance(method, GoldFinetuneConfig):
        return min(method.rows or assumed.gold, assumed.gold), Work()
    if isinstance(method, LoopConfig):
        return _looped(run, method, lengths, assumed)
    if method.kind in ("few_shot_icl", "zero_shot", "gepa"):
        return 0, Work()
    if isinstance(method, RestConfig):
        return _rest(run, method, lengths, assumed)
    if method.kind == "few_shot_finetune":
        return lengths.demonstrations * run.finetuning.demonstration_copies, Work()
    if isinstance(method, SelfICLConfig) and method.variant == "test_conditioned":
        return 0, Work()
    return _selfguide(run, lengths, assumed)  # and any method that builds on its data


def _selfguide(run: RunConfig, lengths: Lengths, assumed: AssumedConfig) -> tuple[float, Work]:
    generation = run.generation
    asked = float(generation.rounds * generation.prompts_per_round)
    if generation.target is not None:
        asked = min(asked, generation.target / assumed.kept)
    accepted = asked * assumed.kept
    work = _proposals(asked, lengths, shown=lengths.demonstrations + generation.max_drafts / 2)
    rows = accepted * VOTES_KEPT
    if run.annotation.max_rows is not None:
        rows = min(rows, run.annotation.max_rows)
    return rows, work + _votes(run, accepted, lengths)


def _rest(run: RunConfig, method: RestConfig, lengths: Lengths, assumed: AssumedConfig) -> tuple[float, Work]:
    """Inputs once, votes in every round; several answers of an input are rows, where they are no labels."""
    rows, work = _selfguide(run, lengths, assumed)
    inputs = rows / VOTES_KEPT
    if method.accept == "gold":
        inputs = rows = min(method.items or assumed.gold, assumed.gold)
        work = _votes(run, inputs, lengths)
    for _ in range(method.rounds - 1):
        work += _votes(run, inputs, lengths)
    return rows * (1 if lengths.labels else method.per_input), work


def _looped(run: RunConfig, method: LoopConfig, lengths: Lengths, assumed: AssumedConfig) -> tuple[float, Work]:
    first, work = method.initial_data, Work()
    voted = method.annotate.source == "vote" or (lengths.labels == 0 and method.annotate.source == "inherit")
    shown = lengths.demonstrations if method.propose.show_demonstrations else 0
    if method.attributes.kind != "none" and method.attributes.source == "generated":
        of = lengths.labels if method.attributes.kind == "rationales" else 1
        work += _proposals((method.attributes.items or 0) * of, lengths, shown)
    if first.source == "selfguide":
        rows, made = _selfguide(run, lengths, assumed)
        work += made
    elif first.source == "generated":
        asked = (first.items or 0) * min(first.waves, 1 / assumed.kept)
        rows = asked * assumed.kept
        work += _proposals(asked, lengths, shown) + (_votes(run, rows, lengths) if voted else Work())
    else:
        pool = lengths.demonstrations if first.source == "demonstrations" else assumed.gold
        rows = first.items or max(first.min_items, (first.share or 1.0) * pool)
    seed = rows
    for _ in range(_rounds(method) if method.diagnose.source != "influence" else 0):
        judged = seed if method.diagnose.source in ("initial", "votes") else assumed.gold
        wrong = judged * (assumed.errors if method.diagnose.select == "wrong" or method.diagnose.match_errors else 1)
        wrong = min(wrong, method.diagnose.max_exemplars or wrong)
        asked = wrong * method.propose.per_exemplar * min(method.propose.attempts, 1 / assumed.kept)
        work += _proposals(asked, lengths, shown + 1, joint=method.annotate.source == "joint")
        work += _votes(run, asked * assumed.kept, lengths) if voted else Work()
        if run.student.kind == "causal":
            work += _answers(judged, lengths)
        else:
            work += Work(encoder_tokens=judged * lengths.input)
        rows += asked * assumed.kept
    return rows, work


def _proposals(count: float, lengths: Lengths, shown: float, joint: bool = False) -> Work:
    written = lengths.input + lengths.output * joint
    prompt = lengths.instruction + shown * (lengths.input + lengths.output)
    return Work(count, count * prompt, count * written, texts=count * written)


def _votes(run: RunConfig, count: float, lengths: Lengths) -> Work:
    """The samples of an input share its prompt."""
    samples = run.annotation.best_of
    written = count * samples * lengths.output
    return Work(count * samples, count * lengths.answer, written, texts=written)


def _self_icl(method: SelfICLConfig, instances: float, lengths: Lengths) -> Work:
    each = method.demonstrations
    bare = lengths._replace(demonstrations=0)
    writing = instances * (1 if method.one_call else each)
    wrote = Work(0, 0, 0, writing, writing * (bare.answer + lengths.input), instances * each * lengths.input)
    return wrote + _answers(instances * each, bare) + _answers(instances, lengths._replace(demonstrations=each))


def _rounds(method: LoopConfig) -> int:
    if method.diagnose.source == "influence":
        feedback, items = method.propose.feedback, method.initial_data.items or 0
        return min(len(feedback_points(feedback.start, feedback.cap, items)), method.loop.rounds or 10**9)
    return method.loop.rounds or 0


def _trainings(run: RunConfig, count: float, rounds: int, lengths: Lengths) -> Work:
    """Each round trains anew, on more of the rows; the control and the annotator are one more."""
    finetuning, method, work = run.finetuning, run.method, Work()
    encoder = run.student.kind != "causal"
    if not METHODS.entry(method.kind).trains or (finetuning.kind == "none" and not encoder):
        return work
    rows = min(count, run.budget.rows or count) if run.budget.kind == "equal_rows" else count
    row = min(lengths.input, run.student.encoder.max_length) if encoder else lengths.answer + lengths.output
    epochs, batch = (
        (run.student.encoder.epochs, run.student.encoder.batch_size)
        if encoder
        else (finetuning.max_epochs, finetuning.batch_size)
    )
    seen = rows * epochs if run.budget.steps is None else float(run.budget.steps * batch)
    times = max(getattr(method, "rounds", None) or 1, 1) if method.kind == "rest" else rounds + 1
    work += Work(trainings=times, trained=seen * row * (times + 1) / 2)
    if isinstance(method, LoopConfig) and method.diagnose.source == "influence" and encoder:
        of = run.student.influence
        work += Work(trained=rounds * row * (3 * of.recursions * of.batch_size + 2 * min(of.sample or rows, rows)))
    annotated = run.annotation.annotator != "base" and method.kind not in ("gold_finetune", "few_shot_finetune")
    if run.evaluation.controls or annotated:
        shown = lengths.demonstrations * finetuning.demonstration_copies
        work += Work(trainings=1, trained=shown * finetuning.max_epochs * (lengths.answer + lengths.output))
    return work
