"""Asks for what the slots want, in waves: a slot whose item was dropped is tried again, a bounded number of times.

A killed run goes on after the last batch that reached the disk.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeVar

from selfguide.config.loop import DebiasConfig, DrawConfig, ProposeConfig
from selfguide.core.seeding import child_seed
from selfguide.core.types import Example
from selfguide.models.base import Completion, Debias, Engine, Request, Sampling, room
from selfguide.prompts.neighbours import ConditionedPrompt, JointPrompt, NewInput
from selfguide.prompts.selfguide import Prompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Journal
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.joint import read_pairs
from selfguide.synthesis.judge import Judge, Proposal
from selfguide.synthesis.slots import Slot

MOST_AT_ONCE = 10  # items a growing joint prompt asks for


@dataclass(frozen=True, slots=True)
class Budget:
    """Calls and generated tokens that are left; None: no bound."""

    calls: int | None = None
    tokens: int | None = None

    def less(self, calls: int, tokens: int) -> "Budget":
        """What is left after so many more."""
        return Budget(
            None if self.calls is None else max(0, self.calls - calls),
            None if self.tokens is None else max(0, self.tokens - tokens),
        )

    def items(self, calls: int) -> int | None:
        """How many items of so many calls each are paid for; None: no bound."""
        if self.spent is not None:
            return 0
        return None if self.calls is None else self.calls // calls

    def closed_below(self, calls: int) -> "Budget":
        """The same, with no calls left where an item takes more than there are."""
        return self if self.calls is None or self.calls >= calls else replace(self, calls=0)

    @property
    def spent(self) -> str | None:
        """Which bound is reached."""
        return "calls" if self.calls == 0 else "tokens" if self.tokens == 0 else None


def fill(
    engine: Engine,
    tokenizer: PromptTokenizer,
    slots: Sequence[Slot],
    config: ProposeConfig,
    judge: Judge,
    round_number: int,
    source: str,
    seed: int,
    budget: Budget,
    journal: Journal,
    progress: Callable[[int], None] | None = None,
    votes: int = 0,
) -> list[Candidate]:
    """All candidates, kept and dropped, in the order they were judged.

    `votes` are calls that a kept item's outputs will take: of the budget, so many are left for each.
    """
    made: list[Candidate] = []
    kept: dict[str, list[Candidate]] = {slot.id: [] for slot in slots}
    past = iter(list(journal.rows))
    for attempt in range(config.attempts):
        waiting = [slot for slot in slots if len(kept[slot.id]) < slot.wanted]
        while waiting and (payable := budget.items(1 + votes)) != 0:
            size = config.batch if payable is None else min(config.batch, payable)
            batch, waiting = waiting[:size], waiting[size:]
            row = next(past, None)
            if row is None:
                asked = [_grown(slot, config, attempt, kept[slot.id]) for slot in batch]
                row = _batch(engine, tokenizer, asked, config, judge, round_number, source, attempt, seed)
                journal.append(row)
                answered = [Candidate.from_row(candidate) for candidate in row["candidates"]]
            else:
                answered = [Candidate.from_row(candidate) for candidate in row["candidates"]]
                for candidate in answered:
                    judge.add(candidate)
            for candidate, slot_id in zip(answered, row["slots"], strict=True):
                made.append(candidate)
                if candidate.dropped is None:
                    kept[slot_id].append(candidate)
            _, generated, calls = row["tokens"]
            kept_now = sum(candidate.dropped is None for candidate in answered)
            budget = budget.less(calls + votes * kept_now, generated)
            if progress is not None:
                progress(len(batch))
    return made


def _grown(slot: Slot, config: ProposeConfig, attempt: int, kept: Sequence[Candidate]) -> Slot:
    """A joint slot as this attempt asks it: for what is missing or, growing, for more; odd attempts show the kept."""
    if not isinstance(slot.prompt, JointPrompt):
        return slot
    count = min(slot.wanted + attempt, MOST_AT_ONCE) if config.grow else slot.wanted - len(kept)
    shown = tuple(Example(c.input, c.output or "") for c in kept) if attempt % 2 else ()
    return replace(slot, prompt=replace(slot.prompt, count=count, kept=shown))


def _batch(
    engine: Engine,
    tokenizer: PromptTokenizer,
    slots: Sequence[Slot],
    config: ProposeConfig,
    judge: Judge,
    round_number: int,
    source: str,
    attempt: int,
    seed: int,
) -> dict[str, Any]:
    before = engine.tokens.copy()
    prompts = [fitted(slot.prompt, tokenizer, engine.context_length, config.draw.max_new_tokens) for slot in slots]
    requests = [
        None
        if prompt is None
        else request_for(
            prompt,
            tokenizer,
            engine.context_length,
            config.draw,
            child_seed(seed, "loop", "sample", round_number, slot.id, attempt),
            slot.counters,
            config.debias,
        )
        for slot, prompt in zip(slots, prompts, strict=True)
    ]
    answers = iter(engine.generate([request for request in requests if request is not None]))
    candidates: list[Candidate] = []
    owners: list[str] = []
    for slot, request in zip(slots, requests, strict=True):
        completion = None if request is None else next(answers)[0]
        wanted = slot.wanted
        for proposal in _proposals(slot, completion, round_number, source, attempt):
            if wanted == 0:
                proposal = replace(proposal, candidate=replace(proposal.candidate, dropped="surplus"))
            candidate = judge.judge(proposal)
            wanted -= candidate.dropped is None
            candidates.append(candidate)
            owners.append(slot.id)
    return {
        "candidates": [candidate.to_row() for candidate in candidates],
        "slots": owners,
        "tokens": (engine.tokens - before).counts(),
    }


def _proposals(
    slot: Slot, completion: Completion | None, round_number: int, source: str, attempt: int
) -> Iterator[Proposal]:
    first = Candidate(
        f"{slot.id}-{attempt}", round_number, "", slot.label, source=source, parent=slot.parent, exemplar=slot.exemplar
    )
    if completion is None:
        yield Proposal(replace(first, dropped="prompt_too_long"))
    elif isinstance(slot.prompt, JointPrompt):
        pairs = read_pairs(completion.text, completion.finish == "length")
        for number, pair in enumerate(pairs):
            made = replace(first, id=f"{first.id}-{number}", input=pair.input, output=pair.output, dropped=pair.dropped)
            yield Proposal(made, shown=tuple(d.input for d in slot.prompt.demonstrations))
        if not pairs:
            yield Proposal(replace(first, dropped="no_output"))
    else:
        examples = slot.prompt.examples if isinstance(slot.prompt, ConditionedPrompt) else ()
        made = replace(first, input=completion.text, output=slot.label)
        yield Proposal(made, slot.start, tuple(d.input for d in examples), slot.prompt.open_quote)


class Shortenable(Prompt, Protocol):
    """A prompt that can do with less."""

    def shorter(self) -> Self | None: ...


S = TypeVar("S", bound=Shortenable)


def fitted(prompt: S, tokenizer: PromptTokenizer, context_length: int, wanted: int) -> S | None:
    """The prompt, with as much of it left out as the context demands; None if nothing helps."""
    limit = context_length - min(wanted, context_length // 4)
    fitting: S | None = prompt
    while fitting is not None and len(tokenizer.encode_prompt(fitting)) > limit:
        fitting = fitting.shorter()
    return fitting


def request_for(
    prompt: Prompt,
    tokenizer: PromptTokenizer,
    context_length: int,
    draw: DrawConfig,
    seed: int,
    counters: Sequence[NewInput] = (),
    debias: DebiasConfig | None = None,
) -> Request:
    """The request that asks a prompt; `counters` are the prompts of other labels, for self-debiasing."""
    ids = tokenizer.encode_prompt(prompt)
    sampling = Sampling(
        room(context_length, len(ids), draw.max_new_tokens),
        draw.temperature,
        draw.top_k,
        draw.top_p,
        stop=tokenizer.stop(prompt),
        debias=Debias(debias.strength, debias.floor) if counters and debias is not None else None,
    )
    return Request(ids, sampling, seed, counters=tuple(tokenizer.encode_prompt(counter) for counter in counters))
