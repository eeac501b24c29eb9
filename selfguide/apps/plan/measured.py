"""What the small round measures. Plain data."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Calls:
    """Model calls of one kind: how many units were asked for, tokens and seconds they took."""

    units: int
    prompt: int
    generated: int
    seconds: float
    spread: float = 0.0  # relative standard error of the tokens of a unit

    def per_unit(self, total: float) -> float:
        """A total over the units."""
        return total / self.units if self.units else 0.0


@dataclass(frozen=True, slots=True)
class Training:
    """Timed optimizer steps, what comes before the first, and the tokens that a step puts through the model."""

    overhead: float
    steps: tuple[float, ...]
    tokens: float


@dataclass(frozen=True, slots=True)
class Measured:
    """The small round. `passed` proposals met every input filter but the one on repetition."""

    start: float
    inputs: Calls
    passed: int
    accepted: int
    outputs: Calls
    elected: int
    labels: dict[str, int]
    training: Training | None
    base: Calls
    tuned: Calls
    memory: dict[str, int] = field(default_factory=dict)
    instances: int = 0
    demonstrations: int = 0
    busy: float = 1.0  # share of a processor that the round got; below 1, others were using the machine
