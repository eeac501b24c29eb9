"""Hours of a GPU for tokens through a model, from its sizes and the card's. Pure but for a model's config.json.

Rules of thumb, good to a factor of two: 2 operations a weight and token to read a prompt or write a token, 6 to train
all weights, 4 with adapters; a batch's tokens are written at the speed at which the weights can be read.
"""

import re
from typing import NamedTuple

from selfguide.config.serving import ModelConfig
from selfguide.core.errors import ConfigError, SelfguideError

UTILISATION = 0.4  # of the card's peak, in training and in reading prompts
BANDWIDTH = 0.6  # of its memory's peak, in writing
START = 30.0
"""Seconds that a training takes beside its steps: loading, saving."""
BYTES = 2
"""Of a weight in bfloat16."""
ENCODERS = {"scratch": 1_000_000, "lstm": 6_000_000, "distilbert-base-uncased": 66_000_000}
BY_NAME = {"gpt2-xl": 1_560_000_000, "gpt2-large": 774_000_000, "gpt2": 124_000_000, "bert-base-uncased": 110_000_000}
SIZE = re.compile(r"(?<![\d.])(\d+(?:[._]\d+)?)\s?([bm])(?![a-z])", re.IGNORECASE)


class Gpu(NamedTuple):
    """Peak operations a second in bfloat16, bytes of memory a second."""

    operations: float
    bandwidth: float


GPUS = {
    "h200": Gpu(990e12, 4.8e12),
    "h100": Gpu(990e12, 3.35e12),
    "a100": Gpu(312e12, 2.0e12),
    "l40s": Gpu(362e12, 0.86e12),
    "rtx4090": Gpu(165e12, 1.0e12),
    "cpu": Gpu(0.5e12, 0.05e12),
}
"""Dense peaks as their makers give them; cpu: a server's dozen of cores."""


def weights_of(model: ModelConfig) -> float:
    """Weights of a causal model: by its config.json where it is on this machine, else by its name (7b, 135m)."""
    from selfguide.models.memory import Shape
    from selfguide.models.source import model_json, resolve_model

    last = model.path.rpartition("/")[2]
    if last.lower() in BY_NAME:
        return BY_NAME[last.lower()]
    for name in (last, model.name):
        if found := SIZE.search(name):
            return float(found[1].replace("_", ".")) * (1e9 if found[2].lower() == "b" else 1e6)
    try:
        shape = Shape.of(model_json(resolve_model(model), "config.json"))
    except (SelfguideError, OSError):
        shape = None
    if shape is None:
        raise ConfigError(f"model.name: {model.name} does not contain its size; allowed: a name such as mine_7b")
    return float(shape.weights)


def generation_seconds(gpu: Gpu, weights: float, prompt: float, generated: float, batch: int) -> float:
    """To read and write so many tokens, `batch` answers at a time."""
    reading = 2 * weights * prompt / (UTILISATION * gpu.operations)
    step = max(BYTES * weights / (BANDWIDTH * gpu.bandwidth) / batch, 2 * weights / (UTILISATION * gpu.operations))
    return reading + step * generated


def training_seconds(gpu: Gpu, weights: float, tokens: float, trainings: float, lora: bool) -> float:
    """To put so many tokens forward and back."""
    return (4 if lora else 6) * weights * tokens / (UTILISATION * gpu.operations) + START * trainings
