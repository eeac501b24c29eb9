"""How likely a model finds the outputs of finished pairs, behind the prompt that it is trained and evaluated on."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import ScoreRequest, Weights
from selfguide.models.session import LanguageModel
from selfguide.prompts.selfguide import answer_prompt
from selfguide.store import Stage, StoredStage, Workspace, journal_tokens

BATCH = 64
Losses = list[list[float | None]]


@dataclass(frozen=True)
class ScorePairs(Stage[Losses]):
    """Mean token loss [pair][weights] of each output (end of sequence included); weights None: the base model.

    None where prompt and output do not fit the context.
    """

    kind: ClassVar[str] = "scores"
    version: ClassVar[int] = 1

    model: LanguageModel
    task: TaskSpec
    pairs: tuple[Example, ...]
    weights: tuple[Weights | None, ...]

    def build(self, work: Workspace) -> dict[str, Any]:
        engine, tokenizer = self.model.engine, self.model.tokenizer
        encoded = [
            (tokenizer.encode_prompt(answer_prompt(self.task, pair.input)), tokenizer.encode_answer(pair.output))
            for pair in self.pairs
        ]
        fits = [index for index, (prompt, out) in enumerate(encoded) if len(prompt) + len(out) <= engine.context_length]
        requests = [(index, column) for column in range(len(self.weights)) for index in fits]
        losses: Losses = [[None] * len(self.weights) for _ in self.pairs]
        with work.journal() as journal, work.bar("scores", len(requests), "rows") as bar:
            done = sum(len(row["losses"]) for row in journal.rows)
            bar.resume(done)
            for start in range(done, len(requests), BATCH):
                before = engine.tokens.copy()
                batch = requests[start : start + BATCH]
                scored = engine.score([ScoreRequest(*encoded[index], self.weights[column]) for index, column in batch])
                values = [-sum(logprobs) / len(logprobs) for logprobs in scored]
                journal.append({"losses": values, "tokens": (engine.tokens - before).counts()})
                bar.advance(len(values))
            flat = [value for row in journal.rows for value in row["losses"]]
            for (index, column), value in zip(requests, flat, strict=True):
                losses[index][column] = value
            write_jsonl(work.path / "rows.jsonl", losses)
            return {"tokens": journal_tokens(journal)}

    def reads(self) -> Iterable[Path]:
        return [weights.path for weights in self.weights if weights is not None]

    def load(self, stored: StoredStage) -> Losses:
        return list(read_jsonl(stored.path / "rows.jsonl"))
