"""Tokens/s of our annotation and streaming generation, and of bare vLLM on the same prompts in one call.

Both in the same running engine, in turn; cold: the prefix cache is emptied before each; warm: both
find every prompt in it. Bare vLLM knows all prompts beforehand, and reads and writes nothing.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from benchmarks.speed.schedules import configuration
from selfguide.config.family import input_temperature
from selfguide.config.schema import RunConfig
from selfguide.config.serving import VLLMEngineConfig
from selfguide.models.base import Request
from selfguide.models.vllm import VLLMEngine
from selfguide.models.vllm_process import engine_arguments, environment, own_process, reloads_in_place
from selfguide.store import Journal


class Recording(VLLMEngine):
    """Remembers what it was asked, to ask bare vLLM the same."""

    def __init__(self, config: RunConfig, core: Any) -> None:
        super().__init__(config)
        self._core = core
        self.asked: list[Request] = []

    def submit(self, key: int, request: Request, limit: int | None = None, every: int | None = None) -> None:
        self.asked.append(request)
        super().submit(key, request, limit, every)

    def spelled(self) -> tuple[list[Any], list[Any]]:
        """Prompts and sampling parameters of all that was asked, as vLLM takes them."""
        pairs = [self._translate.sample(request, self._limit(request)) for request in self.asked]
        return [prompt for prompt, _ in pairs], [parameters for _, parameters in pairs]


Work = Callable[[Recording, Journal], object]


def against_bare(task_name: str, runs: int, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """For each stage, cold and warm: tokens/s of both in every run, and the ratio of the medians."""
    config = configuration("c_streaming", task_name, overrides)
    settings = cast(VLLMEngineConfig, config.engine)
    environment(settings)
    # In a process of its own where a run's is.
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1" if own_process(config, not reloads_in_place()) else "0"
    from vllm import LLM

    from selfguide.models.source import context_length

    llm = LLM(**engine_arguments(config, context_length(config.model), not reloads_in_place()))
    results: dict[str, Any] = {}
    for name, work in (("annotation", _annotation(config)), ("streaming", _streaming(config))):
        _ours(llm, config, work)  # code and cache are warm from here on
        for cache in ("cold", "warm"):
            ours: list[float] = []
            bare: list[float] = []
            for _ in range(runs):
                if cache == "cold":
                    llm.reset_prefix_cache()
                rate, engine = _ours(llm, config, work)
                ours.append(rate)
                prompts, parameters = engine.spelled()
                if cache == "cold":
                    llm.reset_prefix_cache()
                begun = time.perf_counter()
                answers = llm.generate(prompts, parameters, use_tqdm=False)
                spent = time.perf_counter() - begun
                bare.append(sum(len(one.token_ids) for answer in answers for one in answer.outputs) / spent)
            results[f"{name}, cache {cache}"] = {
                "ours_tokens_per_s": ours,
                "bare_tokens_per_s": bare,
                "ratio_of_medians": statistics.median(ours) / statistics.median(bare),
            }
    return results


def _ours(llm: Any, config: RunConfig, work: Work) -> tuple[float, Recording]:
    engine = Recording(config, llm.llm_engine)
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.jsonl") as journal:
        begun = time.perf_counter()
        work(engine, journal)
        spent = time.perf_counter() - begun
    return engine.tokens.generated / spent, engine


def _annotation(config: RunConfig) -> Work:
    from selfguide.models.session import LanguageModel
    from selfguide.search.protocol_check import AccessCounter
    from selfguide.synthesis.candidates import Candidate
    from selfguide.synthesis.outputs import Annotator
    from selfguide.tasks.load import load_task

    task, gold = load_task(config.task, config.data, config.seed)
    AccessCounter(config, gold, "benchmarks.speed")
    inputs = [instance.input for instance in gold.open("test", "benchmark")[: 2 * (config.evaluation.limit or 0)]]
    candidates = [Candidate(str(place), 0, text) for place, text in enumerate(inputs)]
    settings, heat = config.annotation, config.temperature.output

    def work(engine: Recording, journal: Journal) -> object:
        return Annotator(LanguageModel(config, engine), task, settings, heat, 0).annotate(candidates, journal)

    return work


def _streaming(config: RunConfig) -> Work:
    from selfguide.models.session import LanguageModel
    from selfguide.synthesis.inputs import InputProposer
    from selfguide.tasks.load import load_task

    task, _ = load_task(config.task, config.data, config.seed)
    settings = replace(config.generation, schedule="streaming")
    filters, heat = config.filters, input_temperature(config, task.family)

    def work(engine: Recording, journal: Journal) -> object:
        return InputProposer(LanguageModel(config, engine), task, settings, filters, heat, 0).propose(journal)

    return work
