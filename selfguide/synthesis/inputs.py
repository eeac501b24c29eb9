"""Steps 1 and 2: propose new inputs in rounds, filter them, let the accepted ones feed the next round.

Paper section 3.1. Every prompt has its own random stream, named by round and place, and a round
sees the pool as it stood before it: the result depends on nothing else, and a killed run goes on
after the last round that reached the disk.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from selfguide.config.schema import FiltersConfig, GenerationConfig
from selfguide.core.errors import PromptTooLongError
from selfguide.core.seeding import child_random, child_seed
from selfguide.core.text import strip_field_name, strip_quotes
from selfguide.core.types import TaskSpec
from selfguide.models.base import Engine, Request, Sampling, room
from selfguide.prompts.selfguide import InputPrompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Journal
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.filters import Duplicates, Filter, first_reason, input_filters

RoundDone = Callable[[int, int, int], None]
"""Called after a round with (rounds done, inputs proposed, inputs accepted), totals so far."""


@dataclass(slots=True)
class InputPool:
    """What was proposed so far, and the judgement of what comes next."""

    task: TaskSpec
    config: FiltersConfig
    candidates: list[Candidate] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    _filters: list[Filter] = field(init=False)
    _duplicates: Duplicates | None = field(init=False)

    def __post_init__(self) -> None:
        self._filters = input_filters(self.task, self.config)
        demonstrations = [d.input for d in self.task.demonstrations]
        self._duplicates = Duplicates(demonstrations, self.config.near_duplicates) if self.config.duplicates else None

    def judge(self, candidate: Candidate) -> Candidate:
        """Filter a proposal; an accepted one joins the pool at once."""
        text = strip_field_name(candidate.input)
        text = strip_quotes(text) if self.config.strip_quotes else text
        reason = first_reason(self._filters, text)
        if reason is None and self._duplicates is not None:
            reason = self._duplicates(text)
        judged = replace(candidate, input=text, dropped=reason)
        self.add(judged)
        return judged

    def add(self, judged: Candidate) -> None:
        """Take in a proposal that was judged before (by this run or by the one it resumes)."""
        self.candidates.append(judged)
        if judged.dropped is None:
            self.accepted.append(judged.input)
            if self._duplicates is not None:
                self._duplicates.accept(judged.input)


def propose_inputs(
    engine: Engine,
    tokenizer: PromptTokenizer,
    task: TaskSpec,
    generation: GenerationConfig,
    filters: FiltersConfig,
    temperature: float,
    seed: int,
    journal: Journal,
    on_round: RoundDone | None = None,
) -> list[Candidate]:
    """All proposals, accepted and dropped, in the order they were made.

    Raises `PromptTooLongError` if instruction and demonstrations alone exceed the cutoff.
    """
    pool = InputPool(task, filters)
    for row in journal.rows:
        for candidate in row["candidates"]:
            pool.add(Candidate.from_row(candidate))
    for round_number in range(len(journal.rows), generation.rounds):
        if generation.target is not None and len(pool.accepted) >= generation.target:
            break
        asked = [
            draw_prompt(task, generation, pool.accepted, engine.context_length, tokenizer, seed, round_number, place)
            for place in range(generation.prompts_per_round)
        ]
        requests = [
            input_request(
                prompt, ids, generation, temperature, engine.context_length, tokenizer, seed, round_number, place
            )
            for place, (prompt, ids) in enumerate(asked)
        ]
        before = engine.tokens.copy()
        completions = engine.generate(requests)
        judged = [
            pool.judge(Candidate(f"{round_number}-{place}", round_number, answers[0].text, prompt.label))
            for place, ((prompt, _), answers) in enumerate(zip(asked, completions, strict=True))
        ]
        journal.append(
            {
                "round": round_number,
                "candidates": [candidate.to_row() for candidate in judged],
                "tokens": (engine.tokens - before).counts(),
            }
        )
        if on_round is not None:
            on_round(round_number + 1, len(pool.candidates), len(pool.accepted))
    return pool.candidates


def input_request(
    prompt: InputPrompt,
    ids: tuple[int, ...],
    generation: GenerationConfig,
    temperature: float,
    context_length: int,
    tokenizer: PromptTokenizer,
    seed: int,
    *place: int,
) -> Request:
    """The request for the new input of a drawn prompt; `place` names its random stream."""
    sampling = Sampling(
        max_new_tokens=room(context_length, len(ids), generation.max_new_tokens),
        temperature=temperature,
        top_k=generation.top_k,
        top_p=generation.top_p,
        stop=tokenizer.stop(prompt),
    )
    return Request(ids, sampling, child_seed(seed, "inputs", "sample", *place))


def draw_prompt(
    task: TaskSpec,
    generation: GenerationConfig,
    pool: Sequence[str],
    context_length: int,
    tokenizer: PromptTokenizer,
    seed: int,
    *place: int,
) -> tuple[InputPrompt, tuple[int, ...]]:
    """One prompt for a new input and its token ids: shuffled demonstrations, random drafts, a random label."""
    stream = child_random(seed, "inputs", "prompt", *place)
    demonstrations = list(task.demonstrations)
    stream.shuffle(demonstrations)
    conditioned = task.is_classification and generation.label_conditioning
    prompt = InputPrompt(
        instruction=task.instruction,
        demonstrations=tuple(demonstrations),
        label=stream.choice(task.labels) if conditioned else None,
        show_outputs=task.is_classification and generation.show_outputs,
    )
    # A quarter of a short context stays free for the new input, even if it may be longer.
    reserved = min(generation.max_new_tokens, context_length // 4)
    limit = min(generation.context_cutoff, context_length - reserved)
    most = min(generation.max_drafts, len(pool))
    for count in range(stream.randint(1, most) if most else 0, 0, -1):
        drafted = replace(prompt, drafts=_sample(pool, count, stream))
        ids = tokenizer.encode_prompt(drafted)
        if len(ids) <= limit:
            return drafted, ids
    ids = tokenizer.encode_prompt(prompt)
    if len(ids) > limit:
        raise PromptTooLongError(
            f"task {task.name}: instruction and demonstrations alone take {len(ids)} tokens, but the prompt for a new "
            f"input may take {limit} (generation.context_cutoff={generation.context_cutoff}, model context "
            f"{context_length} less {reserved} for the new input); "
            "use fewer demonstrations (task.num_demonstrations=…) or a model with a longer context"
        )
    return prompt, ids


def _sample(pool: Sequence[str], count: int, stream: random.Random) -> tuple[str, ...]:
    return tuple(stream.sample(pool, count))
