"""One engine for jobs that take turns: what all of them ask at a time goes to it in one call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Self, cast

from selfguide.config.schema import RunConfig
from selfguide.engines.base import Completion, Engine, Progress, Request, ScoreRequest, TokenCount
from selfguide.engines.lending import Lender, kind_of
from selfguide.errors import ConfigError, PromptTooLongError, RequestError
from selfguide.together.turns import Restore, Turns, current

# A configuration error may be one job's own, too: what it asks for is not to be had from this engine.
OF_ONE_REQUEST = (PromptTooLongError, RequestError, ConfigError)


class Asked(NamedTuple):
    """One call of one job."""

    config: RunConfig
    what: Literal["generate", "score"]
    requests: Sequence[Any]


class OneEngine(Turns):
    """Turns whose questions are calls of an engine. A context manager: leaving it stops the engine.

    Where jobs want different engines, all that want the running one come to their end first.
    """

    def __init__(self, capture: Callable[[], Restore]) -> None:
        super().__init__(self._answer_calls, capture)
        self.lender = Lender()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.lender.close()

    def _answer_calls(self, asked: Sequence[Asked]) -> Mapping[int, Any]:
        kinds = [kind_of(call.config) for call in asked]
        kind = self.lender.kind if self.lender.kind in kinds else kinds[0]
        answers: dict[int, Any] = {}
        for what in ("generate", "score"):
            places = [place for place, call in enumerate(asked) if kinds[place] == kind and call.what == what]
            answers |= zip(places, self._joined([asked[place] for place in places]), strict=True)
        return answers

    def _joined(self, calls: Sequence[Asked]) -> list[Any]:
        """The answer to each of the calls, or its exception."""
        if not calls:
            return []
        requests = [request for call in calls for request in call.requests]
        try:
            engine = self.lender.engine(calls[0].config)
            answers = iter(engine.generate(requests) if calls[0].what == "generate" else engine.score(requests))
        except OF_ONE_REQUEST as error:
            # One bad request must not fail the other jobs.
            return [error] if len(calls) == 1 else [one for call in calls for one in self._joined([call])]
        except Exception as error:
            # An engine that fails would fail each of them anew.
            return [error] * len(calls)
        return [[next(answers) for _ in call.requests] for call in calls]


class SharedEngine:
    """What a job holds of an engine that several use. See `Engine`."""

    def __init__(self, turns: OneEngine, config: RunConfig) -> None:
        self._turns = turns
        self._config = config
        self._lent: Any = turns.lender.lend(config)
        self.tokens = TokenCount()  # of this job alone

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        """See `Engine.generate`. Progress is told once, at the end."""
        completions: list[list[Completion]] = self._ask("generate", requests)
        for request, made in zip(requests, completions, strict=True):
            self.tokens.count_answers(request, made)
        if progress is not None and requests:
            progress(len(requests))
        return completions

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        """See `Engine.score`."""
        scores: list[tuple[float, ...]] = self._ask("score", requests)
        self.tokens.count_scores(requests)
        return scores

    def _ask(self, what: Literal["generate", "score"], requests: Sequence[Any]) -> list[Any]:
        if not requests:
            return []
        return cast("list[Any]", self._turns.ask(Asked(self._config, what, requests), len(requests)))

    def __getattr__(self, name: str) -> Any:
        # What else an engine has is used by one job at a time.
        found = getattr(self._lent, name)
        return self._own_stream if name == "stream" else found

    @contextmanager
    def _own_stream(self) -> Iterator[Any]:
        engine = self._turns.lender.engine(self._config)
        counted, engine.tokens = engine.tokens, self.tokens
        try:
            with self._lent.stream() as stream:
                yield stream
        finally:
            engine.tokens = counted


def engine_for(config: RunConfig) -> Engine | None:
    """The engine of a job that shares one; None for a job that starts its own.

    Raises `ConfigError` for a teacher of its own that would be started once for each job.
    """
    turns = current()
    if not isinstance(turns, OneEngine):
        return None
    teacher = config.teacher.engine
    if config.teacher.kind != "self" and teacher is not None and teacher.name != "openai":
        raise ConfigError(
            f"teacher.engine: {teacher.name} is not allowed; allowed: openai, as hydra/launcher=together shares "
            "the student's engine alone"
        )
    return cast(Engine, SharedEngine(turns, config))
