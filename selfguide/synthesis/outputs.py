"""Step 3: the model answers its own inputs, several times each. No judgement here.

Every sampled answer is kept with its log-probability, so vote threshold, filters and balance can
be changed later without asking the model again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from selfguide.config.schema import AnnotationConfig
from selfguide.core.seeding import child_seed
from selfguide.core.types import TaskSpec
from selfguide.models.base import Engine, Request, Sampling, Weights, room
from selfguide.prompts.selfguide import answer_prompt
from selfguide.prompts.tokenization import PromptTokenizer
from selfguide.store import Journal
from selfguide.synthesis.candidates import Candidate, Sample


def annotate(
    engine: Engine,
    tokenizer: PromptTokenizer,
    task: TaskSpec,
    candidates: Sequence[Candidate],
    config: AnnotationConfig,
    temperature: float,
    seed: int,
    journal: Journal,
    progress: Callable[[int], None] | None = None,
    weights: Weights | None = None,
    tokens: int | None = None,
) -> list[Candidate]:
    """The candidates with `samples`: `config.best_of` answers of `weights` (None: the base) for each accepted input.

    An input whose prompt leaves no room for an answer is dropped with the reason `prompt_too_long`; what
    is not asked as `tokens` generated ones are spent, with `budget`. `progress` is told what is answered now, not what
    the journal holds.
    """
    accepted = [c for c in candidates if c.dropped is None]
    done = {row["id"]: row for batch in journal.rows for row in batch["rows"]}
    pending = [c for c in accepted if c.id not in done]
    spent = sum(batch["tokens"][1] for batch in journal.rows)
    for start in range(0, len(pending), config.batch):
        if tokens is not None and spent >= tokens:
            break
        batch = pending[start : start + config.batch]
        before = engine.tokens.copy()
        rows = _answer(engine, tokenizer, task, batch, config, temperature, seed, weights)
        counts = (engine.tokens - before).counts()
        spent += counts[1]
        journal.append({"rows": rows, "tokens": counts})
        done.update((row["id"], row) for row in rows)
        if progress is not None:
            progress(len(batch))
    return [c if c.dropped is not None else _with_samples(c, done.get(c.id)) for c in candidates]


def _answer(
    engine: Engine,
    tokenizer: PromptTokenizer,
    task: TaskSpec,
    batch: Sequence[Candidate],
    config: AnnotationConfig,
    temperature: float,
    seed: int,
    weights: Weights | None,
) -> list[dict[str, object]]:
    prompts = [answer_prompt(task, candidate.input) for candidate in batch]
    encoded = [tokenizer.encode_prompt(prompt) for prompt in prompts]
    rooms = [room(engine.context_length, len(ids), config.max_new_tokens) for ids in encoded]
    fits = [tokens > 0 for tokens in rooms]
    requests = [
        Request(
            ids,
            Sampling(
                max_new_tokens=tokens,
                temperature=temperature,
                top_k=config.top_k,
                top_p=config.top_p,
                n=config.best_of,
                stop=tokenizer.stop(prompt),
            ),
            child_seed(seed, "outputs", candidate.id),
            weights,
        )
        for candidate, prompt, ids, tokens in zip(batch, prompts, encoded, rooms, strict=True)
        if tokens > 0
    ]
    answers = iter(engine.generate(requests))
    return [
        {"id": candidate.id, "samples": [[a.text, a.logprob] for a in next(answers)] if fit else None}
        for candidate, fit in zip(batch, fits, strict=True)
    ]


def _with_samples(candidate: Candidate, row: dict[str, list[tuple[str, float]] | None] | None) -> Candidate:
    if row is None:
        return replace(candidate, dropped="budget")
    if row["samples"] is None:
        return replace(candidate, dropped="prompt_too_long")
    return replace(candidate, samples=tuple(Sample(text, logprob) for text, logprob in row["samples"]))
