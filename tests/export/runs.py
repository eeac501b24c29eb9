"""A run with real weights: a tiny random Llama, its adapter, and a run folder around them."""

from pathlib import Path
from typing import Any

from tests.analysis.folders import write_run
from tests.models.checkpoints import tiny_adapter, tiny_model


def model_overrides(base: Path) -> tuple[str, ...]:
    chosen = ("model=local", "model.prompt_format=plain", "model.dtype=float32", "engine.device=cpu")
    return (*chosen, f"model.path={base}")


def run_with_adapter(folder: Path, *overrides: str, **changes: Any) -> Path:
    """A run folder below `folder`, with `adapter/` for the model in `folder/base`."""
    base = tiny_model(folder / "base", max_position_embeddings=2048)
    settings: dict[str, Any] = {"proposals": 60, "instances": 20, **changes}
    run = write_run(folder / "run", *model_overrides(base), *overrides, **settings)
    tiny_adapter(base, run / "adapter", seed=7)
    return run
