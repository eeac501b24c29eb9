"""What a knob may hold, declared beside the knob: `rank: int = knob(ge=1)`."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from omegaconf import MISSING


@dataclass(frozen=True)
class Allowed:
    """The values a knob may hold. `None` bounds are open."""

    one_of: tuple[str, ...] | None = None
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __str__(self) -> str:
        if self.one_of is not None:
            return " | ".join(self.one_of)
        bounds = [(">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt)]
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    def admits(self, value: Any) -> bool:
        """Whether a value of the right type is in range; `None` always is (typing decides on it)."""
        if value is None:
            return True
        if self.one_of is not None:
            return value in self.one_of
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )


def knob(
    *,
    one_of: tuple[str, ...] | None = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    default: Any = MISSING,
) -> Any:
    """A schema field with its allowed values. Values live in `conf/`; the schema has none."""
    return dataclasses.field(default=default, metadata={"allowed": Allowed(one_of, ge, gt, le, lt)})
