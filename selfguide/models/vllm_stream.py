"""Requests one by one instead of in batches: what the streaming schedule asks of engine=vllm."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from selfguide.models.base import Completion, Request

if TYPE_CHECKING:
    from selfguide.models.vllm import VLLMEngine


class VLLMStream:
    """Requests under way in the engine, for `selfguide.synthesis.streaming`."""

    PROGRESS_EVERY = 4

    def __init__(self, engine: "VLLMEngine") -> None:
        self._engine = engine
        self._requests: dict[int, Request] = {}

    def submit(self, key: int, request: Request) -> None:
        """Start a request (one sample); it is in the next step."""
        assert request.sampling.n == 1
        self._requests[key] = request
        self._engine.submit(key, request, every=self.PROGRESS_EVERY)

    def step(self) -> Iterator[tuple[int, int, Completion | None]]:
        """(key, tokens so far, the completion once it is finished) of requests with news."""
        for key, output in self._engine.step():
            if not output.finished:
                yield key, len(output.outputs[0].token_ids), None
                continue
            request = self._requests.pop(key)
            [completion] = self._engine.finished(request, output)
            yield key, len(completion.token_ids), completion
