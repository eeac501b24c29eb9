"""The base model and its finetuned variants in one process, switched without touching the base."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selfguide.core.errors import RequestError
from selfguide.models.base import Weights

MAX_ADAPTERS = 8
"""LoRA adapters kept in memory; the one used longest ago leaves first."""


class AdapterCache:
    """Loads weights on first use: the base, LoRA adapters on top of it, other full weights beside it."""

    def __init__(self, load: Callable[[Path | None], Any]) -> None:
        self._load = load
        self._base: Any = None
        self._peft: Any = None
        self._adapters: dict[str, None] = {}  # in order of last use
        self._full: tuple[str, Any] | None = None

    @property
    def base(self) -> Any:
        """The model of `model.path`."""
        if self._base is None:
            self._base = self._load(None)
        return self._base

    @contextmanager
    def use(self, weights: Weights | None) -> Iterator[Any]:
        """The model that answers with these weights, for the length of the block."""
        if weights is not None and weights.kind == "full":
            yield self._full_model(weights)
        elif weights is not None:
            self._activate(weights)
            yield self._peft
        elif self._peft is not None:
            with self._peft.disable_adapter():
                yield self._peft
        else:
            yield self.base

    def close(self) -> None:
        """Drop every model and give device memory back."""
        import torch

        self._base = self._peft = self._full = None
        self._adapters.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _activate(self, weights: Weights) -> None:
        from peft import PeftModel

        if weights.name not in self._adapters:
            if not (weights.path / "adapter_config.json").exists():
                raise RequestError(f"adapter {weights.name}: {weights.path} holds no adapter_config.json")
            try:
                if self._peft is None:
                    self._peft = PeftModel.from_pretrained(self.base, str(weights.path), adapter_name=weights.name)
                else:
                    self._peft.load_adapter(str(weights.path), adapter_name=weights.name)
            except (RuntimeError, ValueError, OSError) as error:
                raise RequestError(f"adapter {weights.name}: {str(error).splitlines()[0][:200]}") from error
            self._peft.eval()
        self._adapters.pop(weights.name, None)
        self._adapters[weights.name] = None
        self._peft.set_adapter(weights.name)
        while len(self._adapters) > MAX_ADAPTERS:
            oldest = next(iter(self._adapters))
            del self._adapters[oldest]
            self._peft.delete_adapter(oldest)

    def _full_model(self, weights: Weights) -> Any:
        if self._full is None or self._full[0] != weights.name:
            self._full = None  # the former one leaves before the next one comes
            gc.collect()
            self._full = (weights.name, self._load(weights.path))
        return self._full[1]
