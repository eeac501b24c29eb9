"""The small round: the run's own stages on a few units, in a store of its own that is thrown away.

No gold is opened: the evaluation is timed on synthetic inputs, which are prompted alike.
"""

import io
import itertools
import math
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from selfguide.analysis.details import peak_memory
from selfguide.apps.plan.measured import Calls, Measured, Training
from selfguide.config.family import for_family, input_temperature
from selfguide.config.schema import ForecastConfig, RunConfig
from selfguide.core.console import Bar, Terminal
from selfguide.core.types import Example, Instance
from selfguide.evaluation.predict import Query, System, predict
from selfguide.models.base import Sampling, Weights
from selfguide.models.requests import build_request
from selfguide.models.session import Session
from selfguide.store import Journal, StoredStage
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.inputs import InputProposer
from selfguide.synthesis.proposals import ProposalRequest
from selfguide.synthesis.stages import annotate_inputs, compose_dataset, propose_inputs
from selfguide.tasks.load import load_task
from selfguide.training.packing import tokens_per_step
from selfguide.training.rows import build_rows
from selfguide.training.stages import train

REPEATED = ("duplicate", "near_duplicate")
DRAWN_PROMPTS = 24


class Stopwatch(Terminal):
    """A silent terminal that notes when the units of a bar are done."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()))
        self.moments: dict[str, list[float]] = {}

    @contextmanager
    def bar(self, name: str, total: int | None, unit: str) -> Iterator[Bar]:
        """A bar that shows nothing."""
        moments = self.moments.setdefault(name, [])

        class Noted(Bar):
            def advance(self, count: int, **fields: object) -> None:
                moments.extend([time.monotonic()] * (1 if count else 0))

        with Noted(name, total, unit, self) as bar:
            yield bar

    def warn(self, text: str) -> None:
        """A small round is expected to be small: nobody needs to be warned."""


def probe(config: RunConfig, sizes: ForecastConfig) -> Measured:
    """Run the small round of `config` and measure it."""
    task, gold = load_task(config.task, config.data, config.seed)
    published = gold.count("test" if config.evaluation.split == "test" else "validation")
    instances = min(published, config.evaluation.limit or published)
    watch, began, used = Stopwatch(), time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="selfguide-plan-") as folder:
        small = for_family(shrunk(config, sizes, Path(folder)), task.family)
        with Session(small, task, watch) as session:
            started = time.monotonic()
            first = draw(session, [], 0)
            session.engine.generate([build_request(session.student, first.prompt, Sampling(1))])
            start = time.monotonic() - started

            proposing = propose_inputs(session)
            proposed = proposing.value
            taken = [c for c in proposed if c.dropped is None]
            chosen = taken[: sizes.annotated]
            # Without a usable input the demonstrations stand in, so that later stages are measured at all.
            asked = chosen or [Candidate(f"d{i}", 0, d.input) for i, d in enumerate(task.demonstrations)]
            annotating = annotate_inputs(session, asked)
            annotated = annotating.value
            pairs, marked = compose_dataset(session, annotated)
            elected = [c for c in marked if c.dropped is None] if chosen else []

            weights, training = None, None
            if config.finetuning.kind != "none" and config.method.kind != "few_shot_icl":
                weights, training = timed_training(session, watch, pairs or list(task.demonstrations), sizes)
            texts = [candidate.input for candidate in asked]
            base = timed_answers(session, Path(folder) / "base.jsonl", texts, None)
            tuned = base if weights is None else timed_answers(session, Path(folder) / "tuned.jsonl", texts, weights)
            inputs = calls(proposing.stored, len(proposed), output_lengths(session, proposed))
            if taken:
                # Later rounds show drafts: their prompts are drawn, which costs no model call.
                prompt = drawn_prompt_tokens(session, [c.input for c in taken])
                inputs = replace(inputs, prompt=round(prompt * len(proposed)))
            outputs = calls(annotating.stored, len(asked), sample_lengths(session, annotated))
    return Measured(
        start=start,
        inputs=inputs,
        passed=sum(c.dropped is None or c.dropped in REPEATED for c in proposed),
        accepted=len(taken),
        outputs=outputs,
        elected=len(elected),
        labels=dict(Counter(str(c.output) for c in elected)) if task.is_classification else {},
        training=training,
        base=base,
        tuned=tuned,
        memory=peak_memory(),
        instances=instances,
        demonstrations=len(task.demonstrations),
        busy=min(1.0, max(0.02, (time.process_time() - used) / (time.monotonic() - began))),
    )


def shrunk(config: RunConfig, sizes: ForecastConfig, folder: Path) -> RunConfig:
    """The same run on a few units: as many prompts at once as in the real round, if that is not too many."""
    at_once = min(config.generation.prompts_per_round, sizes.proposals)
    return replace(
        config,
        generation=replace(
            config.generation, prompts_per_round=at_once, rounds=math.ceil(sizes.proposals / at_once), target=None
        ),
        annotation=replace(config.annotation, balance="off", max_rows=None),
        filters=replace(config.filters, decontaminate="report"),
        finetuning=replace(config.finetuning, max_epochs=1, epochs=1, over_length="drop"),
        store=replace(config.store, root=str(folder / "store")),
        plan=None,
    )


def draw(session: Session, pool: Sequence[str], index: int) -> ProposalRequest:
    """The request for a new input, as a later round would draw it."""
    config = session.config
    temperature = input_temperature(config, session.task.family)
    proposer = InputProposer(session.student, session.task, config.generation, config.filters, temperature, config.seed)
    return proposer.draw(pool, -1, index)


def drawn_prompt_tokens(session: Session, pool: Sequence[str]) -> float:
    """Mean tokens of prompts for new inputs with drafts from `pool`."""
    # A pool of few inputs would bound the number of drafts: the real pool is larger.
    most = session.config.generation.max_drafts
    repeated = list(pool) * math.ceil(max(most, 1) / len(pool))
    return statistics.fmean(
        session.student.render(draw(session, repeated, index).prompt).size for index in range(DRAWN_PROMPTS)
    )


def timed_training(
    session: Session, watch: Stopwatch, pairs: Sequence[Example], sizes: ForecastConfig
) -> tuple[Weights, Training]:
    """A few optimizer steps on rows like the real ones."""
    config = session.config.finetuning
    small = min(config.batch_size, max(sizes.trained, 1))
    rows = [_reworded(pairs[i % len(pairs)], i // len(pairs)) for i in range(small * sizes.steps)]
    started = time.monotonic()
    finished = train(session, "training", rows, finetuning=replace(config, batch_size=small))
    total = time.monotonic() - started
    moments = watch.moments.get("finetuning (training)", [])
    steps = tuple(later - earlier for earlier, later in itertools.pairwise(moments))
    # A step may be on fewer rows than a full batch: its time is scaled by the tokens of both.
    alike = replace(config, shuffle_demonstrations=False)
    built = build_rows(session.task, rows, session.tokenizer, alike, session.config.seed).rows
    packed = finished.stored.info["packed"]
    tokens, timed = (tokens_per_step(built, config, batch, packed) for batch in (config.batch_size, small))
    factor = tokens / timed
    overhead = max(0.0, total - (sum(steps) + statistics.fmean(steps) if steps else 0.0))
    scaled = tuple(step * factor for step in steps) or (total * factor,)
    return finished.value.epochs[-1], Training(overhead, scaled, tokens)


def _reworded(pair: Example, turn: int) -> Example:
    """The pair with the words of its input turned: equal rows in a batch would be packed into one."""
    words = pair.input.split(" ")
    return replace(pair, input=" ".join([*words[turn % len(words) :], *words[: turn % len(words)]]))


def timed_answers(session: Session, journal: Path, texts: Sequence[str], weights: Weights | None) -> Calls:
    """Greedy answers to synthetic inputs, as the evaluation asks them."""
    instances = [Instance(str(index), text, ()) for index, text in enumerate(texts)]
    before, started = session.engine.tokens.copy(), time.monotonic()
    with Journal(journal) as rows:
        queries = [Query(instance, System(weights)) for instance in instances]
        predict(session.student, session.task, session.config.evaluation, queries, rows)
    spent = session.engine.tokens - before
    return Calls(len(texts), spent.prompt, spent.generated, time.monotonic() - started)


def calls(stage: StoredStage, units: int, lengths: Sequence[int]) -> Calls:
    """What a stage took."""
    tokens = stage.info["tokens"]
    spread = 0.0
    if len(lengths) > 1 and any(lengths):
        spread = statistics.stdev(lengths) / statistics.fmean(lengths) / math.sqrt(len(lengths))
    return Calls(units, tokens["prompt"], tokens["generated"], stage.seconds, spread)


def sample_lengths(session: Session, candidates: Sequence[Candidate]) -> list[int]:
    """Tokens of all answers to each input."""
    return [sum(len(session.tokenizer.encode_answer(s.text)) for s in c.samples) for c in candidates]


def output_lengths(session: Session, candidates: Sequence[Candidate]) -> list[int]:
    """Tokens of each proposal."""
    return [len(session.tokenizer.encode_answer(candidate.input)) for candidate in candidates]
