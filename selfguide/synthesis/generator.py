"""The generator of new inputs: requests to the model, replies to the judge, judged candidates to the journal.

What is asked for, and when, is the schedule's (`rounds`, `streaming`, `waves`); every method that makes data goes
through here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from selfguide.core.seeding import SeedStream
from selfguide.models.base import Completion, Request, Sampling
from selfguide.models.requests import build_request, complete
from selfguide.models.session import LanguageModel
from selfguide.store import Journal
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.judge import Judge
from selfguide.synthesis.proposals import ProposalRequest


class Batch(NamedTuple):
    """The judged candidates of each request, and what they took."""

    candidates: list[list[Candidate]]
    calls: int
    generated: int


@dataclass
class Generator:
    """Proposes with one model; `candidates` are all judged so far, `accepted` the inputs of those that were kept.

    `sampling` is how a reply is drawn (its stop strings and room come with each prompt); a request's random stream
    is named below `seeds`. `progress` is told how many requests were answered now.
    """

    model: LanguageModel
    sampling: Sampling
    seeds: SeedStream
    judge: Judge
    journal: Journal
    progress: Callable[[int], None] = lambda _: None
    candidates: list[Candidate] = field(default_factory=list, init=False)
    accepted: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._past = iter(list(self.journal.rows))

    def propose(self, requests: Iterable[ProposalRequest]) -> Batch:
        """One batch. Of a batch that the journal has, the requests are not even drawn."""
        row = next(self._past, None)
        if row is None:
            return self._new_batch(list(requests))
        _, generated, calls = row["tokens"]
        return Batch([self.recall(rows) for rows in row["candidates"]], calls, generated)

    def engine_request(self, request: ProposalRequest) -> Request | None:
        """The request as engines take it; None for one whose prompt does not fit."""
        if request.rendered is None:
            return None
        contrast = tuple(self.model.render(prompt).ids for prompt in request.contrast_prompts)
        sampling = self.sampling if contrast else replace(self.sampling, debias=None)
        seed = self.seeds.seed_of(*request.stream)
        built = build_request(self.model, request.prompt, sampling, seed, request.rendered)
        return replace(built, counters=contrast)

    def judge_reply(self, request: ProposalRequest, completion: Completion | None) -> list[Candidate]:
        """The candidates of a reply, judged and taken in; beyond `request.count` kept ones they are surplus."""
        judged: list[Candidate] = []
        missing = request.count
        for candidate in request.candidates(completion):
            if missing == 0:
                candidate = replace(candidate, dropped="surplus")
            judged.append(self.judge.judge(candidate, request))
            missing -= judged[-1].dropped is None
        self._take_in(judged)
        return judged

    def recall(self, rows: Sequence[dict[str, Any]]) -> list[Candidate]:
        """Take in what was judged before the run that this one resumes was killed."""
        candidates = [Candidate.from_row(row) for row in rows]
        for candidate in candidates:
            self.judge.remember(candidate)
        self._take_in(candidates)
        return candidates

    def _new_batch(self, requests: Sequence[ProposalRequest]) -> Batch:
        engine = self.model.engine
        before = engine.tokens.copy()
        replies = complete(engine, [self.engine_request(request) for request in requests])
        judged = [
            self.judge_reply(request, None if reply is None else reply[0])
            for request, reply in zip(requests, replies, strict=True)
        ]
        spent = engine.tokens - before
        rows = [[candidate.to_row() for candidate in made] for made in judged]
        self.journal.append({"candidates": rows, "tokens": spent.counts()})
        self.progress(len(requests))
        return Batch(judged, spent.calls, spent.generated)

    def _take_in(self, judged: Iterable[Candidate]) -> None:
        for candidate in judged:
            self.candidates.append(candidate)
            if candidate.dropped is None:
                self.accepted.append(candidate.input)
