"""What `engine.attention` and `finetuning.attention` need of the machine: said before any weights are loaded."""

import importlib.util

from selfguide.core.errors import ConfigError, MissingDependencyError

ELSE = "(allowed here: auto | sdpa | eager)"


def check_attention(attention: str, device: str, dtype: str, key: str = "engine", dtype_key: str = "model") -> None:
    """Raises `ConfigError` or `MissingDependencyError`, in one line, where flash attention cannot run."""
    if attention != "flash_attention_2":
        return
    if not device.startswith("cuda"):
        raise ConfigError(f"{key}.attention: {attention} needs a CUDA device, not {device} {ELSE}")
    if dtype == "float32":
        wanted = f"{dtype_key}.dtype=bfloat16 or float16"
        raise ConfigError(f"{key}.attention: {attention} needs {wanted}, not {dtype} {ELSE}")
    if importlib.util.find_spec("flash_attn") is None:
        raise MissingDependencyError(f"{key}.attention: {attention} needs the package flash-attn {ELSE}")
