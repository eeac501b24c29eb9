"""`curation=judge`: a model, asked whether an output is right, rates finished pairs.

LLM-as-a-judge (arXiv 2306.05685), as self-rewarding models judge their own answers (arXiv 2401.10020). The model that
makes the data (itself, or the teacher) sees the instruction, the demonstrations as they are ("yes") and with another
output ("no"), and the pair; its rating is the probability of "yes" against "no" (of a server that gives no
probabilities, its word). Not as published: no grades from 1 to 5 and no reasoning before the verdict, which small base
models cannot write; the threshold is not set but calibrated on the demonstrations, each rated behind the others.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from selfguide.core.files import write_json
from selfguide.core.types import Example, TaskSpec
from selfguide.models.base import Sampling, ScoreRequest
from selfguide.models.requests import build_request, complete
from selfguide.models.session import LanguageModel, Session
from selfguide.prompts.selfguide import AnswerPrompt
from selfguide.prompts.verdict import NO, YES, verdict_prompt
from selfguide.store import Stage, StoredStage, Workspace, journal_tokens
from selfguide.synthesis.verdicts import Verdicts, calibrated, contrasts

BATCH = 64
LONGEST_REPLY = 8  # tokens of a "yes" or "no" in words


class Ratings(NamedTuple):
    """Of the demonstrations, with whether they are right, and of the pairs; None: the prompt did not fit."""

    calibration: list[tuple[float, bool]]
    pairs: list[float | None]


@dataclass(frozen=True)
class RatePairs(Stage[Ratings]):
    """How sure a judge is of each pair and, behind the others, of each demonstration, right and wrong."""

    kind: ClassVar[str] = "ratings"
    version: ClassVar[int] = 1

    model: LanguageModel
    task: TaskSpec
    pairs: tuple[Example, ...]
    seed: int

    def build(self, work: Workspace) -> dict[str, Any]:
        known = list(zip(self.task.demonstrations, contrasts(self.task, self.seed), strict=True))
        asked: list[AnswerPrompt] = []
        right: list[bool] = []
        for demonstration in known:
            shown = _shown([other for other in known if other is not demonstration])
            for example, is_right in _shown([demonstration]):
                asked.append(verdict_prompt(self.task.instruction, shown, example))
                right.append(is_right)
        asked += [verdict_prompt(self.task.instruction, _shown(known), pair) for pair in self.pairs]
        ratings = list[float | None]()
        with work.journal() as journal, work.bar("ratings", len(asked), "pairs") as bar:
            ratings += [value for row in journal.rows for value in row["ratings"]]
            bar.resume(len(ratings))
            for start in range(len(ratings), len(asked), BATCH):
                before = self.model.engine.tokens.copy()
                new = self._ratings(asked[start : start + BATCH])
                journal.append({"ratings": new, "tokens": (self.model.engine.tokens - before).counts()})
                ratings += new
                bar.advance(len(new))
            calibration = [(value, known) for value, known in zip(ratings, right, strict=False) if value is not None]
            write_json(work.path / "ratings.json", {"calibration": calibration, "pairs": ratings[len(right) :]})
            return {"tokens": journal_tokens(journal)}

    def load(self, stored: StoredStage) -> Ratings:
        found = json.loads((stored.path / "ratings.json").read_text(encoding="utf-8"))
        return Ratings([(value, known) for value, known in found["calibration"]], found["pairs"])

    def _ratings(self, asked: Sequence[AnswerPrompt]) -> list[float | None]:
        model = self.model
        if getattr(model.config.engine, "dialect", "vllm") != "vllm":
            requests = [build_request(model, prompt, Sampling(LONGEST_REPLY)) for prompt in asked]
            return [None if found is None else _said(found[0].text) for found in complete(model.engine, requests)]
        words = [model.tokenizer.encode_answer(word) for word in (YES, NO)]
        prompts = [model.tokenizer.encode_prompt(prompt) for prompt in asked]
        room = model.engine.context_length - max(map(len, words))
        fits = [index for index, ids in enumerate(prompts) if len(ids) <= room]
        scores = iter(model.engine.score([ScoreRequest(prompts[index], word) for index in fits for word in words]))
        ratings: list[float | None] = [None] * len(asked)
        for index in fits:
            yes, no = sum(next(scores)), sum(next(scores))
            ratings[index] = 1 / (1 + math.exp(min(no - yes, 700.0)))
        return ratings


def rate(session: Session, pairs: Sequence[Example], name: str) -> Verdicts:
    """The judge's verdicts on pairs. It warns where it cannot tell right from wrong demonstrations."""
    stage = RatePairs(session.teacher, session.task, tuple(pairs), session.config.seed)
    rated = session.run(name, stage).value
    threshold, accuracy = calibrated(rated.calibration)
    if session.config.curation.min_confidence is not None:
        threshold = session.config.curation.min_confidence
    elif threshold == 0.0:
        why = "there are no wrong ones" if accuracy is None else "it cannot tell right from wrong ones"
        session.warn_once(f"curation.kind=judge drops nothing: no threshold on the demonstrations, {why}")
    known = {pair: value for pair, value in zip(pairs, rated.pairs, strict=True) if value is not None}
    return Verdicts(known, threshold, accuracy)


def _shown(known: Sequence[tuple[Example, Example | None]]) -> tuple[tuple[Example, bool], ...]:
    """Demonstrations as they are and, where there is one, with a wrong output."""
    both = [item for shown, contrast in known for item in ((shown, True), (contrast, False))]
    return tuple((example, right) for example, right in both if example is not None)


def _said(reply: str) -> float:
    return float(reply.strip().strip("\"'*").casefold().startswith(YES))
