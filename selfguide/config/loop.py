"""The schema of the loop's methods (`conf/method/loop.yaml` and those built on it): one dataclass a step."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from selfguide.config.builtin import DIAGNOSERS, METHODS
from selfguide.config.identity import CHOICE
from selfguide.config.knobs import Extensible, knob


@dataclass
class MethodConfig(Extensible):
    """Which method makes what answers: `name` is how results call it, `kind` the implementation."""

    name: str = knob(affects={CHOICE})
    kind: str = knob(registry=METHODS)

    @property
    def claims_gold(self) -> bool:
        """Whether it is given gold instances (the gold pool) beyond the demonstrations."""
        return False


@dataclass
class DrawConfig:
    """How texts are sampled. `temperature` null is that of the run's new inputs."""

    temperature: float | None = knob(ge=0, le=2)
    top_k: int = knob(ge=0)
    top_p: float = knob(gt=0, le=1)
    max_new_tokens: int | None = knob(ge=1)

    @property
    def known_temperature(self) -> float:
        """`temperature`, filled in by `selfguide.config.family`."""
        assert self.temperature is not None
        return self.temperature


@dataclass
class InitialDataConfig:
    """The loop's first data."""

    source: str = knob(one_of=("demonstrations", "gold", "generated", "selfguide"))
    items: int | None = knob(ge=1)
    share: float | None = knob(gt=0, le=1)
    min_items: int = knob(ge=1)
    waves: int = knob(ge=1)
    labels: str = knob(one_of=("each", "uniform"))
    extra_rows: str | None = MISSING


@dataclass
class AttributesConfig:
    """What proposals are conditioned on beside the label."""

    kind: str = knob(one_of=("none", "conditions", "rationales"))
    source: str = knob(one_of=("generated", "demonstrations", "gold"))
    items: int | None = knob(ge=1)
    per_item: int = knob(ge=1, affects={CHOICE})
    attempts: int = knob(ge=1)
    draw: DrawConfig = field(default_factory=DrawConfig)


@dataclass
class FeedbackConfig:
    """Helpful synthetic examples in the prompt (ProGen)."""

    examples: int = knob(ge=0)
    ratio: float = knob(ge=0, le=1)
    start: int = knob(ge=1)
    cap: int = knob(ge=1)


@dataclass
class DebiasConfig:
    """Self-debiasing: tokens that another label's prompt likes better are made unlikelier (ZeroGen)."""

    strength: float = knob(ge=0)
    floor: float = knob(gt=0, le=1)


@dataclass
class ProposeConfig:
    """How new inputs are asked for."""

    draw: DrawConfig = field(default_factory=DrawConfig)
    show_demonstrations: bool = MISSING
    open_quote: bool = MISSING
    per_exemplar: int = knob(ge=1)
    attempts: int = knob(ge=1)
    grow: bool = MISSING
    show_gold: bool = MISSING
    show_wrong: bool = MISSING
    batch: int = knob(ge=1)
    feedback: FeedbackConfig = field(default_factory=FeedbackConfig)
    debias: DebiasConfig = field(default_factory=DebiasConfig)


@dataclass
class AnnotateConfig:
    """Where the outputs come from."""

    source: str = knob(one_of=("inherit", "vote", "joint", "gold"))


@dataclass
class JudgeConfig:
    """Which proposals are dropped."""

    selfguide: bool = MISSING
    min_words: int = knob(ge=0)
    must_contain: str | None = MISSING
    answer_leak: bool = MISSING
    overlap: float | None = knob(gt=0, le=1)
    novelty: float | None = knob(gt=0, le=1)
    scope: str = knob(one_of=("round", "cumulative"))


@dataclass
class ComposeConfig:
    """Which rows are trained on."""

    train_on: str = knob(one_of=("all", "initial", "added"))
    balance: str = knob(one_of=("off", "downsample", "oversample"))


@dataclass
class DiagnoseConfig:
    """What the loop makes more of."""

    source: Any = knob(one_of=("none", "influence"), registry=DIAGNOSERS)
    select: str = knob(one_of=("wrong", "all"))
    match_errors: bool = MISSING
    restrict_to: str = knob(one_of=("initial", "all"))
    wrong_below: float = knob(gt=0, le=1)
    share_below: float = knob(gt=0, le=1)
    max_exemplars: int | None = knob(ge=1)
    per_label: int = knob(ge=1)
    score_above: int | None = knob(ge=0)
    held_out: int = knob(ge=1)
    held_out_from: int = knob(ge=2)
    held_out_share: float = knob(gt=0, lt=1)


@dataclass
class RoundsConfig:
    """When the loop ends."""

    rounds: int | None = knob(ge=0)
    rows: int | None = knob(ge=1)
    calls: int | None = knob(ge=1)
    tokens: int | None = knob(ge=1)


@dataclass
class LoopConfig(MethodConfig):
    """Seed, plan, propose, annotate, filter, compose, train, diagnose, again: ZeroGen to LLM2LLM."""

    initial_data: InitialDataConfig = field(default_factory=InitialDataConfig)
    attributes: AttributesConfig = field(default_factory=AttributesConfig)
    propose: ProposeConfig = field(default_factory=ProposeConfig)
    annotate: AnnotateConfig = field(default_factory=AnnotateConfig)
    filter: JudgeConfig = field(default_factory=JudgeConfig)
    compose: ComposeConfig = field(default_factory=ComposeConfig)
    diagnose: DiagnoseConfig = field(default_factory=DiagnoseConfig)
    loop: RoundsConfig = field(default_factory=RoundsConfig)

    @property
    def claims_gold(self) -> bool:
        """Whether a step needs the gold pool."""
        return "gold" in (self.initial_data.source, self.diagnose.source) or (
            self.attributes.kind == "conditions" and self.attributes.source == "gold"
        )


def feedback_points(start: int, cap: int, limit: int) -> list[int]:
    """Sizes below `limit` at which ProGen's pool is made anew: c * L for c = 1, 2, …, L = start doubling up to cap."""
    points: list[int] = []
    count, step = 1, start
    while count * step < limit:
        points.append(count * step)
        count, step = count + 1, min(2 * step, cap)
    return points


def held_out_rows(config: DiagnoseConfig, rows: int) -> int:
    """How many of so many synthetic rows judge the others: a fixed number of many, a share of few (ProGen)."""
    return config.held_out if rows >= config.held_out_from else round(config.held_out_share * rows)


def attribute_problems(attributes: AttributesConfig, context_until: str | None) -> Iterator[str]:
    """One line per plan that a task (its `context_until`) or its own parts rule out."""
    if attributes.kind == "rationales" and context_until is not None:
        yield (
            "method.attributes.kind: rationales is not allowed with a task that has task.context_until (a kept first "
            "part has no reasons); allowed: conditions, as method=s3_pairs | goldgen_pairs has it"
        )
    kind = attributes.kind
    generated = kind == "rationales" or (kind == "conditions" and attributes.source == "generated")
    if attributes.items is None and generated:
        yield f"method.attributes.items: null is not allowed; allowed: >= 1, as {kind} are generated"


def loop_problems(method: LoopConfig, engine: str) -> Iterator[str]:
    """One line per combination of steps that does not fit together, or that the teacher's `engine` cannot do."""
    first, diagnose = method.initial_data.source, method.diagnose.source
    rounds = method.loop.rounds
    if first == "generated" and method.initial_data.items is None:
        yield "method.initial_data.items: has no value; allowed: >= 1, as method.initial_data.source=generated"
    if first == "gold" and (method.initial_data.items is None) == (method.initial_data.share is None):
        yield "method.initial_data.items, .share: give one of them, as method.initial_data.source=gold"
    if diagnose == "none" and rounds != 0:
        yield f"method.loop.rounds: {rounds} is not allowed; allowed: 0, as method.diagnose.source=none"
    if diagnose != "influence" and rounds is None:
        yield "method.loop.rounds: null is not allowed; allowed: >= 0 (only the feedback schedule knows its own end)"
    if diagnose == "influence" and first != "generated":
        reason = "as method.diagnose.source=influence"
        yield f"method.initial_data.source: {first} is not allowed; allowed: generated, {reason}"
    if diagnose == "influence" and first == "generated" and method.initial_data.items is not None:
        yield from _feedback_problems(method, method.initial_data.items)
    if diagnose == "votes" and method.annotate.source != "vote":
        annotate = method.annotate.source
        yield f"method.annotate.source: {annotate} is not allowed; allowed: vote, as method.diagnose.source=votes"
    source_run = method.initial_data.extra_rows
    if diagnose == "influence" and source_run is not None:
        yield (
            f"method.initial_data.extra_rows: {source_run} is not allowed; allowed: null, as "
            "method.diagnose.source=influence (its sizes are a schedule)"
        )
    if diagnose == "initial" and first == "generated" and method.diagnose.restrict_to == "initial":
        yield "method.diagnose.restrict_to: initial is not allowed; allowed: all, as the seed data is generated"
    strength = method.propose.debias.strength
    if strength > 0 and engine != "hf":
        yield (
            f"method.propose.debias.strength: {strength:g} is not allowed with engine={engine}, which cannot compare "
            "prompts token by token; allowed: 0, or engine=hf"
        )
    if method.annotate.source == "gold" and (first in ("generated", "selfguide") or rounds != 0):
        yield "method.annotate.source: gold is not allowed; allowed: inherit | vote | joint (a proposal has no gold)"


def _feedback_problems(method: LoopConfig, items: int) -> Iterator[str]:
    """Why no feedback point would score a row, even if every proposal is kept."""
    feedback, score_above = method.propose.feedback, method.diagnose.score_above
    points = feedback_points(feedback.start, feedback.cap, items)
    if method.loop.rounds == 0:
        yield "method.loop.rounds: 0 is not allowed; allowed: >= 1 or null, as method.diagnose.source=influence"
    elif not points:
        yield (
            f"method.propose.feedback.start: {feedback.start} is not allowed; allowed: < "
            f"method.initial_data.items={items}, as method.diagnose.source=influence"
        )
    elif score_above is not None:
        most = max(size - held_out_rows(method.diagnose, size) for size in points[: method.loop.rounds])
        if score_above >= most:
            yield (
                f"method.diagnose.score_above: {score_above} is not allowed; allowed: < {most}, the most rows that a "
                "feedback point leaves to score, or null (all rows are examples, none is scored)"
            )
