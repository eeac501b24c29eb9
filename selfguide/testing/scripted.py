"""The one test double: an engine that answers from a function, through the real contract."""

from collections.abc import Callable, Sequence

from selfguide.models.base import Completion, Progress, Request, ScoreRequest, TokenCount

Answer = Callable[[str, int, int], str]
"""(prompt text, seed, sample number) -> the completion's text."""
Likelihood = Callable[[str], float]
"""prompt text -> log-probability of every token behind it."""


def certain(prompt: str) -> float:
    """Every token is certain."""
    return 0.0


class ScriptedEngine:
    """Answers each sample with `answer(prompt, seed, sample)`; counts calls and tokens (characters)."""

    name = "scripted"

    def __init__(
        self,
        decode: Callable[[tuple[int, ...]], str],
        answer: Answer,
        context_length: int = 4096,
        likelihood: Likelihood = certain,
    ) -> None:
        self.context_length = context_length
        self.tokens = TokenCount()
        self.batches: list[int] = []
        self.prompts: list[str] = []
        self._decode = decode
        self._answer = answer
        self._likelihood = likelihood

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        self.batches.append(len(requests))
        completions = []
        for request in requests:
            prompt = self._decode(request.prompt_ids)
            self.prompts.append(prompt)
            self.tokens.prompt += len(request.prompt_ids)
            texts = [self._answer(prompt, request.seed, sample) for sample in range(request.sampling.n)]
            self.tokens.generated += sum(map(len, texts))
            self.tokens.calls += len(texts)
            completions.append([Completion(text, (), -float(len(text)), "stop") for text in texts])
        return completions

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        scores = [self._likelihood(self._decode(request.prompt_ids)) for request in requests]
        return [(score,) * len(request.completion_ids) for score, request in zip(scores, requests, strict=True)]

    def close(self) -> None:
        return None

    def __enter__(self) -> "ScriptedEngine":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
