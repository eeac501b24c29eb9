"""The search space, from Hydra's own sweep grammar to Optuna's distributions."""

import difflib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
    Transformer,
)
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from selfguide.core.errors import ConfigError

PLAIN_TEXT = re.compile(r"[A-Za-z_/][\w./-]*")
WORDS = {"true", "false", "null", "nan", "inf"}


@dataclass(frozen=True)
class Space:
    """What is searched (`distributions`, and as written in `grammar`) and what the command line fixes."""

    distributions: dict[str, BaseDistribution]
    grammar: dict[str, str]
    fixed: list[str]
    fixed_keys: tuple[str, ...] = ()

    def points(self) -> list[dict[str, Any]] | None:
        """Every setting, in the order written; None where an interval makes them infinitely many."""
        axes = [_values(distribution) for distribution in self.distributions.values()]
        if any(axis is None for axis in axes):
            return None
        return [
            dict(zip(self.distributions, point, strict=True))
            for point in itertools.product(*(axis for axis in axes if axis is not None))
        ]

    def example(self, first: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A setting of the space: the first that will be tried, or else the lowest."""
        if first:
            return self.check(first[0])
        return {
            key: distribution.choices[0] if isinstance(distribution, CategoricalDistribution) else distribution.low
            for key, distribution in self.distributions.items()
        }

    def check(self, setting: Mapping[str, Any]) -> dict[str, Any]:
        """A setting of `sweep.first` in the space's own types. Raises ConfigError if it lies outside.

        Keys that the command line fixes are dropped.
        """
        if unknown := sorted(set(setting) - set(self.distributions) - set(self.fixed_keys)):
            near = difflib.get_close_matches(unknown[0], list(self.distributions), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"sweep.first: {', '.join(unknown)} not in sweep.space{hint}")
        if missing := sorted(set(self.distributions) - set(setting)):
            raise ConfigError(f"sweep.first: has no {', '.join(missing)}; complete it, or set sweep.first=[]")
        checked = {}
        for key in self.distributions:
            if not self.holds(key, setting[key]):
                raise ConfigError(
                    f"sweep.first: {key}={setting[key]} is not in the space; allowed: {self.grammar[key]}"
                )
            checked[key] = self._typed(key, setting[key])
        return checked

    def holds(self, key: str, value: Any) -> bool:
        """Whether a key's values include this one, which may be written otherwise: 1 for 1.0, but not for true."""
        distribution = self.distributions[key]
        truth = isinstance(value, bool)
        if isinstance(distribution, CategoricalDistribution):
            return any(x == value and isinstance(x, bool) == truth for x in distribution.choices)
        return isinstance(value, int | float) and not truth and bool(distribution._contains(value))

    def _typed(self, key: str, value: Any) -> Any:
        distribution = self.distributions[key]
        if isinstance(distribution, CategoricalDistribution):
            return distribution.choices[distribution.choices.index(value)]
        return int(value) if isinstance(distribution, IntDistribution) else float(value)


def read_space(written: Mapping[str, str], arguments: Sequence[str]) -> Space:
    """The space of the YAML, changed by the command line: a sweep there adds or replaces a key, a value fixes it."""
    parser = OverridesParser.create()
    grammar = dict(written)
    fixed: dict[str, str] = {}
    for override in parser.parse_overrides(list(arguments)):
        key = override.get_key_element()
        if override.is_sweep_override():
            grammar[key] = (override.input_line or "").partition("=")[2]
        else:
            grammar.pop(key, None)
            fixed[key] = override.input_line or ""
    distributions = {key: _distribution(key, text, parser) for key, text in grammar.items()}
    return Space(distributions, grammar, list(fixed.values()), tuple(fixed))


def overrides_of(setting: Mapping[str, Any]) -> list[str]:
    """A setting as Hydra overrides, quoted where Hydra would read it as something else."""
    return [f"{key}={_text(value)}" for key, value in setting.items()]


def _distribution(key: str, text: str, parser: OverridesParser) -> BaseDistribution:
    try:
        override = parser.parse_override(f"{key}={text}")
    except HydraException as error:
        raise ConfigError(f"sweep.space.{key}: cannot read {text!r}: {str(error).splitlines()[0]}") from error
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return CategoricalDistribution(_choices(key, override))
    if isinstance(value, RangeSweep):
        return _range(key, value)
    if isinstance(value, IntervalSweep):
        return _interval(key, value)
    raise ConfigError(
        f"sweep.space.{key}: {text!r} is not a sweep; allowed: choice(a, b), range(start, stop, step), "
        "interval(low, high), tag(log, interval(low, high))"
    )


def _choices(key: str, override: Override) -> list[Any]:
    choices: list[Any] = []
    for element in override.sweep_iterator(transformer=Transformer.identity):
        if isinstance(element, QuotedString):
            element = element.text
        if isinstance(element, Glob) or not (element is None or isinstance(element, bool | int | float | str)):
            raise ConfigError(f"sweep.space.{key}: {element} is not allowed; allowed: numbers, texts, booleans")
        # Optuna takes equal values for one: of 0 and false it would never ask the second.
        if alike := [other for other in choices if other == element and not same(other, element)]:
            raise ConfigError(
                f"sweep.space.{key}: {_text(alike[0])} and {_text(element)} cannot be told apart; allowed: one of them"
            )
        if element not in choices:
            choices.append(element)
    return choices


def same(one: Any, other: Any) -> bool:
    """Equal and of one kind: 1 is not true, nor 1.0."""
    return type(one) is type(other) and bool(one == other)


def _range(key: str, sweep: RangeSweep) -> BaseDistribution:
    start, stop, step = sweep.start, sweep.stop, sweep.step
    assert start is not None and stop is not None
    log = "log" in sweep.tags
    if set(sweep.tags) - {"log"} or (log and (step != 1 or not isinstance(start, int) or start < 1)):
        raise ConfigError(
            f"sweep.space.{key}: a range takes the tag log, and with it whole numbers from 1 on and no step; "
            "allowed: tag(log, range(1, 100)), tag(log, interval(0.1, 1)), choice(…)"
        )
    if step <= 0 or stop <= start:
        raise ConfigError(f"sweep.space.{key}: an empty range; allowed: range(start, stop, step) with start < stop")
    # Hydra's ranges exclude the stop, Optuna's include it.
    count = math.ceil((stop - start) / step - 1e-9)
    last = start + (count - 1) * step
    if isinstance(start, int) and isinstance(step, int):
        return IntDistribution(start, int(last), log=log, step=step)
    return FloatDistribution(float(start), float(last), step=float(step))


def _interval(key: str, sweep: IntervalSweep) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    assert low is not None and high is not None
    log = "log" in sweep.tags
    unknown = set(sweep.tags) - {"log", "int"}
    if unknown or low >= high or (log and low <= 0):
        raise ConfigError(f"sweep.space.{key}: allowed: interval(low, high), low < high, tags log (low > 0) and int")
    # Hydra's `int(interval(4, 64))` has whole ends, its `interval(4, 64)` has none.
    if "int" in sweep.tags or (isinstance(low, int) and isinstance(high, int)):
        if int(low) != low or int(high) != high:
            raise ConfigError(
                f"sweep.space.{key}: {low:g} to {high:g} are no whole numbers; allowed: tag(int, interval(1, 8))"
            )
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _values(distribution: BaseDistribution) -> list[Any] | None:
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        return list(_steps(distribution))
    return None


def _steps(distribution: FloatDistribution) -> Iterator[float]:
    assert distribution.step is not None
    count = round((distribution.high - distribution.low) / distribution.step) + 1
    for index in range(count):
        yield float(f"{distribution.low + index * distribution.step:.12g}")


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if PLAIN_TEXT.fullmatch(value) and value.lower() not in WORDS:
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
