"""What `engine.attention` needs of the machine: said before any weights are loaded."""

import importlib.util

from selfguide.errors import ConfigError, MissingDependencyError

ELSE = "(allowed here: auto | sdpa | eager)"


def check_attention(attention: str, device: str, dtype: str) -> None:
    """Raises `ConfigError` or `MissingDependencyError`, in one line, where flash attention cannot run."""
    if attention != "flash_attention_2":
        return
    if not device.startswith("cuda"):
        raise ConfigError(f"engine.attention: {attention} needs a CUDA device, not {device} {ELSE}")
    if dtype == "float32":
        raise ConfigError(f"engine.attention: {attention} needs model.dtype=bfloat16 or float16, not {dtype} {ELSE}")
    if importlib.util.find_spec("flash_attn") is None:
        raise MissingDependencyError(f"engine.attention: {attention} needs the package flash-attn {ELSE}")
