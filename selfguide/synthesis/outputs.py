"""Step 3: the model answers its own inputs, several times each. No judgement here (paper section 3.2).

Every sampled answer is kept with its log-probability, so vote threshold, filters and balance can
be changed later without asking the model again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from selfguide.config.schema import AnnotationConfig
from selfguide.core.seeding import SeedStream
from selfguide.core.types import TaskSpec
from selfguide.models.base import Completion, Request, Sampling, Weights
from selfguide.models.requests import build_request, complete
from selfguide.models.session import LanguageModel
from selfguide.prompts.neighbours import hinted_prompt
from selfguide.prompts.selfguide import AnswerPrompt, answer_prompt
from selfguide.store import Journal
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.synthesis.lengths import token_limit
from selfguide.tasks.metrics import answer_in


@dataclass(frozen=True)
class Annotator:
    """Samples `config.best_of` answers to an input, by `weights` of the model (None: the base).

    The answer to a candidate in `hints`, by id, stands in its prompt (STaR).
    """

    model: LanguageModel
    task: TaskSpec
    config: AnnotationConfig
    temperature: float
    seed: int
    weights: Weights | None = None
    hints: Mapping[str, str] = field(default_factory=dict)

    def annotate(
        self,
        candidates: Sequence[Candidate],
        journal: Journal,
        progress: Callable[[int], None] | None = None,
        max_tokens: int | None = None,
    ) -> list[Candidate]:
        """The candidates; those accepted so far with `samples`.

        An input whose prompt leaves no room for an answer is dropped with the reason `prompt_too_long`; those whose
        turn would come after `max_tokens` generated ones, with `budget`. `progress` is told what is answered now,
        not what the journal holds.
        """
        done = {row["id"]: row for batch in journal.rows for row in batch["rows"]}
        pending = [c for c in candidates if c.dropped is None and c.id not in done]
        spent = sum(batch["tokens"][1] for batch in journal.rows)
        for start in range(0, len(pending), self.config.batch):
            if max_tokens is not None and spent >= max_tokens:
                break
            batch = pending[start : start + self.config.batch]
            before = self.model.engine.tokens.copy()
            rows = self._answer(batch)
            tokens = (self.model.engine.tokens - before).counts()
            spent += tokens[1]
            journal.append({"rows": rows, "tokens": tokens})
            done.update((row["id"], row) for row in rows)
            if progress is not None:
                progress(len(batch))
        return [c if c.dropped is not None else _with_samples(c, done.get(c.id)) for c in candidates]

    def _answer(self, batch: Sequence[Candidate]) -> list[dict[str, Any]]:
        completions = complete(self.model.engine, [self._request(candidate) for candidate in batch])
        return [
            {"id": candidate.id, "samples": None if answers is None else [_row(answer) for answer in answers]}
            for candidate, answers in zip(batch, completions, strict=True)
        ]

    def _request(self, candidate: Candidate) -> Request:
        config = self.config
        longest = token_limit(config.max_new_tokens, (*self.task.labels, *(d.output for d in self.task.demonstrations)))
        sampling = Sampling(longest, self.temperature, config.top_k, config.top_p, config.best_of)
        seed = SeedStream(self.seed).seed_of("outputs", candidate.id)
        request = build_request(self.model, self._prompt(candidate), sampling, seed)
        return replace(request, weights=self.weights)

    def _prompt(self, candidate: Candidate) -> AnswerPrompt:
        hint, task = self.hints.get(candidate.id), self.task
        if hint is None:
            return answer_prompt(task, candidate.input)
        shown = tuple((shown, answer_in(task, shown.output) or shown.output) for shown in task.demonstrations)
        return hinted_prompt(task.instruction, shown, candidate.input, hint)


def _with_samples(candidate: Candidate, row: dict[str, Any] | None) -> Candidate:
    if row is None:
        return replace(candidate, dropped="budget")
    if row["samples"] is None:
        return replace(candidate, dropped="prompt_too_long")
    return replace(candidate, samples=tuple(Sample(*sample) for sample in row["samples"]))


def _row(answer: Completion) -> tuple[str, float, str | None]:
    """Text, log-probability, and why it does not vote: half an answer is none."""
    return answer.text, answer.logprob, "cut_off" if answer.finish == "length" else None
