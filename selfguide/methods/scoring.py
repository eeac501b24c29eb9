"""How likely a model finds the outputs of finished pairs, behind the prompt that it is trained and evaluated on."""

from collections.abc import Sequence
from pathlib import Path

from selfguide.core.types import Example
from selfguide.models.base import ScoreRequest, Weights
from selfguide.models.session import Session
from selfguide.prompts.selfguide import answer_prompt
from selfguide.store import Journal, journal_tokens

BATCH = 64


def losses_of(
    session: Session, pairs: Sequence[Example], variants: Sequence[Weights | None], work: Path
) -> tuple[list[list[float | None]], dict[str, int]]:
    """Mean token loss of each output (end of sequence included) under each variant, and the tokens it took.

    None where prompt and output do not fit the context. A killed stage goes on in `work/journal.jsonl`.
    """
    engine, tokenizer = session.engine, session.tokenizer
    encoded = [
        (tokenizer.encode_prompt(answer_prompt(session.task, pair.input)), tokenizer.encode_answer(pair.output))
        for pair in pairs
    ]
    fits = [len(prompt) + len(answer) <= engine.context_length for prompt, answer in encoded]
    asked = [(place, number) for number in range(len(variants)) for place in range(len(pairs)) if fits[place]]
    losses: list[list[float | None]] = [[None] * len(variants) for _ in pairs]
    with Journal(work / "journal.jsonl") as journal, session.terminal.bar("scores", len(asked), "rows") as bar:
        done = sum(len(row["losses"]) for row in journal.rows)
        bar.resume(done)
        for start in range(done, len(asked), BATCH):
            before = engine.tokens.copy()
            batch = asked[start : start + BATCH]
            scored = engine.score([ScoreRequest(*encoded[place], variants[number]) for place, number in batch])
            values = [-sum(one) / len(one) for one in scored]
            journal.append({"losses": values, "tokens": (engine.tokens - before).counts()})
            bar.advance(len(values))
        flat = [value for row in journal.rows for value in row["losses"]]
        for (place, number), value in zip(asked, flat, strict=True):
            losses[place][number] = value
        return losses, journal_tokens(journal)
