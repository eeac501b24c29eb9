"""What a knob may hold and what it affects, declared beside it: `rank: int = knob(ge=1, affects={"training"})`."""

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from omegaconf import MISSING

from selfguide.config.registry import Registry


@dataclass(frozen=True)
class Allowed:
    """The values a knob may hold. `None` bounds are open."""

    one_of: tuple[str, ...] | None = None
    registry: Registry | None = None
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """What a knob that takes a name may hold: the registry's, plugins included, and what is listed here."""
        if self.registry is not None:
            return (*(self.one_of or ()), *self.registry.names())
        return self.one_of

    def __str__(self) -> str:
        if self.names is not None:
            return " | ".join(self.names)
        bounds = [(">=", self.ge), (">", self.gt), ("<=", self.le), ("<", self.lt)]
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    def admits(self, value: Any) -> bool:
        """Whether a value of the right type is in range; `None` always is (typing decides on it)."""
        if value is None:
            return True
        if isinstance(value, list):
            return all(map(self.admits, value))
        if self.registry is not None:
            return value in (self.one_of or ()) or value in self.registry
        if self.one_of is not None:
            return value in self.one_of
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )


class Bounds(TypedDict, total=False):
    """The fields of `Allowed`, as `knob` takes them."""

    one_of: tuple[str, ...]
    registry: Registry
    ge: float
    gt: float
    le: float
    lt: float


def knob(
    *,
    default: Any = MISSING,
    affects: Collection[str] | None = None,
    role: str | None = None,
    **bounds: Unpack[Bounds],
) -> Any:
    """A schema field with its allowed values. Values live in `conf/`; the schema has none.

    With a `registry` the value is the name of an implementation (or of `one_of`). `affects` names the kinds of stages
    whose content the knob decides, `role` what it is in a run, of a group for all below it: see
    `selfguide.config.identity`. A knob that says nothing is part of every key.
    """
    metadata = {
        "allowed": Allowed(**bounds),
        **({} if affects is None else {"affects": frozenset(affects)}),
        **({} if role is None else {"role": role}),
    }
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass
class Extensible:
    """A node whose implementation may be one's own: the dotted path of a function or class, and its settings.

    See `selfguide.config.targets`: the path becomes the node's choice, which is what keys know.
    """

    _target_: str | None = knob(default=None, affects=())
    options: dict[str, Any] = knob(default={})
