"""`engine=vllm`: the engine contract on vLLM, one start per process, many adapters in one batch."""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, cast

import psutil

from selfguide.config.schema import RunConfig
from selfguide.config.serving import VLLMEngineConfig
from selfguide.core.errors import EngineError, RequestError
from selfguide.models.base import Completion, Progress, Request, ScoreRequest, TokenCount, Weights
from selfguide.models.limits import check_score, new_tokens
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.lora import merge
from selfguide.models.source import context_length, weights_folder
from selfguide.models.vllm_process import (
    base_beside_adapters,
    reloads_in_place,
    start,
    start_with_adapters,
    stop,
    without_adapters,
)
from selfguide.models.vllm_requests import MAX_CANDIDATES, Position, Translator, passes, positions_to_score
from selfguide.models.vllm_stream import VLLMStream

log = logging.getLogger(__name__)


class VLLMEngine:
    """vLLM with token ids in and out. Starts when it is first asked something.

    Base model and adapters share one stream of requests (without a GPU: one each), each with its own
    seed. Weights of kind "full" are loaded in place of the base model's, which come back when next asked.
    """

    name = "vllm"

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._settings = cast(VLLMEngineConfig, config.engine)
        self.context_length = context_length(config.model)
        self.tokens = TokenCount()
        self._tokenizer = load_prompt_tokenizer(config.model)
        self._translate = Translator(self._tokenizer)
        self._core: Any = None
        self._adapter_ids: dict[str, int] = {}
        self._ids = count()
        self._loaded: str | None = None  # name of the full weights in the engine; None: the base
        self._asleep = False
        self._dropped = False  # asleep, and without weights
        self._adapters_tried = config.finetuning.kind != "lora"
        self._merged: TemporaryDirectory[str] | None = None  # where vLLM serves no adapters of this model

    @classmethod
    def from_config(cls, config: RunConfig) -> "VLLMEngine":
        """The engine of this run, not yet started."""
        return cls(config)

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        """See `Engine.generate`."""
        limits = [self._limit(request) for request in requests]
        results: list[list[Completion]] = [[] for _ in requests]
        with self._answering():
            for group in passes([request.weights for request in requests], self._of_its_own, base_beside_adapters()):
                self._place(requests[group[0]].weights)
                for i in group:
                    self.submit(i, requests[i], limits[i])
                for i, output in self._outputs():
                    results[i] = self.finished(requests[i], output)
                    if progress is not None:
                        progress(1)
        return results

    def score(self, requests: Sequence[ScoreRequest]) -> list[tuple[float, ...]]:
        """See `Engine.score`."""
        for request in requests:
            check_score(request, self.context_length)
        asked = [
            (position, tokens[start : start + MAX_CANDIDATES])
            for position, tokens in positions_to_score(requests).items()
            for start in range(0, len(tokens), MAX_CANDIDATES)
        ]
        found: dict[tuple[Position, int], float] = {}
        with self._answering():
            weights = [position.weights for position, _ in asked]
            for group in passes(weights, self._of_its_own, base_beside_adapters()):
                self._place(weights[group[0]])
                for i in group:
                    position, tokens = asked[i]
                    self._add(i, *self._translate.next_token(position.before, tokens), position.weights)
                for i, output in self._outputs():
                    position, tokens = asked[i]
                    logprobs = output.outputs[0].logprobs[0]
                    found.update(((position, token), float(logprobs[token].logprob)) for token in tokens)
        self.tokens.count_scores(requests)
        return [
            tuple(
                found[Position(request.weights, (*request.prompt_ids, *request.completion_ids[:i])), token]
                for i, token in enumerate(request.completion_ids)
            )
            for request in requests
        ]

    def sleep(self) -> None:
        """Give most of the device's memory to the training (`engine.lifetime=sleep`); the next request wakes it.

        The weights wait in main memory; where they have no room there, they are read anew.
        """
        if self._core is None or self._asleep:
            return
        size = sum(file.stat().st_size for file in weights_folder(self._config.model).glob("*.safetensors"))
        keeps = psutil.virtual_memory().available > 1.5 * size
        with self._in_vllm():
            self._core.sleep(level=1 if keeps else 2)
        self._asleep, self._dropped = True, not keeps

    def close(self) -> None:
        """Stop the engine and give the device back; it starts again if it is used."""
        if self._core is not None:
            core, self._core = self._core, None
            stop(core)
        self._adapter_ids.clear()
        self._loaded, self._asleep, self._dropped = None, False, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # What the streaming schedule uses: one request at a time, one engine step at a time.

    def submit(self, key: int, request: Request, limit: int | None = None, every: int | None = None) -> None:
        """Put a request into the running engine. `every`: report progress each so many tokens."""
        limit = self._limit(request) if limit is None else limit
        prompt, params = self._translate.sample(request, limit, every)
        self._add(key, prompt, params, request.weights)

    def step(self) -> Iterator[tuple[int, Any]]:
        """One step of the engine: (key, vLLM's output) of the requests that have something to report."""
        with self._in_vllm():
            outputs = self._core.step()
        for output in outputs:
            yield int(output.request_id.split("-", 1)[0]), output

    def finished(self, request: Request, output: Any) -> list[Completion]:
        """The completions of a finished request, counted."""
        completions = self._translate.completions(request, output)
        self.tokens.count_answers(request, completions)
        return completions

    @contextmanager
    def stream(self) -> "Iterator[VLLMStream]":
        """Requests one by one instead of in batches, for the base model."""
        with self._answering():
            self._place(None)
            yield VLLMStream(self)

    def _outputs(self) -> Iterator[tuple[int, Any]]:
        while self._core.has_unfinished_requests():
            yield from ((key, output) for key, output in self.step() if output.finished)

    def _add(self, key: int, prompt: Any, params: Any, weights: Weights | None) -> None:
        adapter = self._adapter(weights)
        with self._in_vllm():
            self._core.add_request(f"{key}-{next(self._ids)}", prompt, params, lora_request=adapter)

    def _adapter(self, weights: Weights | None) -> Any:
        if weights is None or self._of_its_own(weights):
            return None
        from vllm.lora.request import LoRARequest

        if self._config.finetuning.kind != "lora":
            raise RequestError(f"adapter {weights.name}: the engine serves adapters only with finetuning.kind=lora")
        if not (weights.path / "adapter_config.json").exists():
            raise RequestError(f"adapter {weights.name}: {weights.path} holds no adapter_config.json")
        # The name is a content hash: the prefix cache is keyed by it.
        number = self._adapter_ids.setdefault(weights.name, len(self._adapter_ids) + 1)
        return LoRARequest(weights.name, number, str(weights.path))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """The engine running and awake. An error leaves no request behind in it, whoever raised it."""
        try:
            if self._core is None:
                self._start()
            if self._asleep:
                self._wake()
            yield
        except Exception:
            self._abort()
            raise
        except BaseException:
            self.close()  # interrupted, perhaps in the middle of a step
            raise

    def _start(self, folder: Path | None = None) -> None:
        """Start with the base, or the weights in `folder`; the first time, see whether adapters can be served."""
        if not self._adapters_tried:
            self._adapters_tried = True
            self._core, reason = start_with_adapters(self._config, self.context_length)
            if reason is None and folder is None:
                return
            if reason is not None:
                self._merged = TemporaryDirectory(prefix="selfguide-merged-")
                log.warning(
                    "vLLM serves no adapters for %s (%s): each is merged into a copy of the weights, which is loaded",
                    self._config.model.name,
                    reason,
                )
            self.close()
        config = self._config if self._merged is None else without_adapters(self._config)
        self._core = start(config, self.context_length, folder)

    def _wake(self) -> None:
        with self._in_vllm():
            self._core.wake_up(tags=["weights"])
            if self._dropped:
                # What is wanted next may be other weights: one reading is enough for most.
                self._load(weights_folder(self._config.model))
                self._loaded = None
            self._core.wake_up(tags=["kv_cache"])
            self._core.reset_prefix_cache()
        self._asleep = self._dropped = False

    def _load(self, folder: Path) -> None:
        self._core.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        self._adapter_ids.clear()  # vLLM has dropped them, too
        self._core.reset_prefix_cache()

    @contextmanager
    def _in_vllm(self) -> Iterator[None]:
        """Whatever breaks in vLLM itself becomes one line, and the engine is stopped."""
        try:
            yield
        except Exception as error:
            self.close()
            first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise EngineError(f"vLLM failed: {type(error).__name__}: {first[:300]}") from error

    def _abort(self) -> None:
        if self._core is not None and self._core.has_unfinished_requests():
            self.close()

    def _place(self, weights: Weights | None) -> None:
        """Make the engine's own weights the base model's, or those of a full finetuning."""
        own = self._of_its_own(weights)
        wanted = weights.name if weights is not None and own else None
        if wanted == self._loaded:
            return
        folder = weights_folder(self._config.model) if weights is None or not own else self._whole(weights)
        if reloads_in_place():
            with self._in_vllm():
                self._load(folder)
        else:
            self.close()
            self._start(folder)
        self._loaded = wanted

    def _of_its_own(self, weights: Weights | None) -> bool:
        """Whether these weights stand in place of the base model's, and not beside them."""
        return weights is not None and (weights.kind == "full" or self._merged is not None)

    def _whole(self, weights: Weights) -> Path:
        """The folder of a whole model: as it was finetuned, or merged now."""
        if weights.kind == "full":
            return weights.path
        assert self._merged is not None
        for former in Path(self._merged.name).iterdir():
            shutil.rmtree(former)
        folder = Path(self._merged.name) / weights.name
        merge(self._config, weights, folder)
        return folder

    def _limit(self, request: Request) -> int:
        return new_tokens(request, self._tokenizer, self.context_length)
