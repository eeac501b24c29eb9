"""The schema of `model=` and `engine=`: a language model and what serves it. Values and their meaning: conf/."""

from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING

from selfguide.config.builtin import ENGINES
from selfguide.config.identity import NOTHING
from selfguide.config.knobs import Extensible, knob


@dataclass
class ModelConfig:
    """The language model, teacher and student at once."""

    name: str = MISSING
    path: str = MISSING
    revision: str | None = MISSING
    dtype: str = knob(one_of=("auto", "float32", "bfloat16", "float16"))
    prompt_format: str = knob(one_of=("plain", "chat", "turns"))
    chat_template: str | None = MISSING
    template_options: dict[str, Any] = knob(default={})
    context_length: int | None = knob(ge=16)
    trust_remote_code: bool = knob(affects=NOTHING)


ATTENTION = ("auto", "sdpa", "eager", "flash_attention_2")


@dataclass
class EngineConfig(Extensible):
    """What every engine has; the engines add their own knobs."""

    name: str = knob(registry=ENGINES)
    lifetime: str = knob(one_of=("auto", "keep", "sleep", "restart"), affects=NOTHING)
    annotation_batch: int = knob(ge=1, affects=NOTHING)
    evaluation_batch: int = knob(ge=1, affects=NOTHING)


@dataclass
class HFEngineConfig(EngineConfig):
    """transformers in this process."""

    batch_tokens: int = knob(ge=256, affects=NOTHING)
    device: str = knob(affects=NOTHING)
    attention: str = knob(one_of=ATTENTION, affects=NOTHING)


@dataclass
class VLLMEngineConfig(EngineConfig):
    """vLLM, started by this process."""

    separate_process: str = knob(one_of=("auto", "on", "off"), affects=NOTHING)
    tensor_parallel_size: int = knob(ge=1, affects=NOTHING)
    memory_fraction: float | None = knob(gt=0, le=1, affects=NOTHING)
    cpu_cache_gib: int = knob(ge=1, affects=NOTHING)
    quantization: str | None = MISSING
    prefix_caching: bool = knob(affects=NOTHING)
    enforce_eager: str = knob(one_of=("auto", "on", "off"), affects=NOTHING)
    max_sequences: int | None = knob(ge=1, affects=NOTHING)
    batch_tokens: int | None = knob(ge=256, affects=NOTHING)
    block_tokens: int | None = knob(ge=1, affects=NOTHING)
    max_adapters: int = knob(ge=1, affects=NOTHING)
    batch_invariant: bool = knob(affects=NOTHING)


@dataclass
class OpenAIEngineConfig(EngineConfig):
    """Any OpenAI-compatible server."""

    base_url: str = knob(affects=NOTHING)
    model: str | None = MISSING
    dialect: str = knob(one_of=("vllm", "completions", "chat"))
    api_key_env: str = knob(affects=NOTHING)
    concurrency: int = knob(ge=1, affects=NOTHING)
    timeout_s: float = knob(gt=0, affects=NOTHING)
    deadline_s: float = knob(gt=0, affects=NOTHING)
    retries: int = knob(ge=0, affects=NOTHING)
    backoff_s: float = knob(ge=0, affects=NOTHING)
    max_backoff_s: float = knob(ge=0, affects=NOTHING)
    token_budget: int | None = knob(ge=1, affects=NOTHING)
