"""An engine: transformers, but every completion is the likeliest one, whatever temperature is asked for."""

from collections.abc import Sequence
from dataclasses import replace

from selfguide.models.base import Completion, Progress, Request
from selfguide.models.hf import HFEngine


class GreedyEngine(HFEngine):
    """All samples of a request are equal."""

    name = "greedy"

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        greedy = [replace(request, sampling=replace(request.sampling, temperature=0.0)) for request in requests]
        return super().generate(greedy, progress)
