"""What identifies a stage, a run, a setting: derived from what each knob says of itself where it is declared.

`affects` is a set of stage kinds ("inputs", "outputs", "dataset", "training", …), or of these:

- CHOICE: it decides which of a stage's results is used (an epoch, a number of copies); what is used is part of
  later keys, so the knob itself is part of none.
- REPORT: columns, intervals and checks; the score stays.
- NOTHING (no kind at all): where and how fast a run happens.

`role` is said of a knob, or of a node for all below it:

- TASK: the task and its gold, identified by what they are, not by name or path: see `selfguide.search.content`.
- MODEL: a model and its engine, identified by what they are, too; where runs are compared, by name.
- PER_RUN: chosen for each run of a setting: random seed, instances, whether the setting is a frozen one.
- OUTSIDE: where things are kept and who is told.

A knob that says nothing is part of every key: new knobs fail safe. The keys, `+` where a knob is part of it:

| key | stage | run, cell | frozen setting | variant | forecast |
|---|---|---|---|---|---|
| says nothing | + | + | + | + | + |
| stage kinds | of these | + | + | + | + |
| CHOICE | | + | + | + | + |
| REPORT | | + | | | + |
| NOTHING | | | | | + |
| role TASK | by content | by content | by content | | + |
| role MODEL | by content | by content | by content | + | + |
| role PER_RUN | as `affects` | + | | | + |
| role OUTSIDE | | | | | |
"""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CHOICE = "choice"
REPORT = "report"
NOTHING: frozenset[str] = frozenset()

TASK = "task"
MODEL = "model"
PER_RUN = "per_run"
OUTSIDE = "outside"


@dataclass(frozen=True)
class Knob:
    """A knob of a configuration: its full key, its value, and what it says of itself."""

    key: str
    value: Any
    affects: frozenset[str] | None = None
    role: str | None = None

    @property
    def decides_the_score(self) -> bool:
        """Whether it may change which answers come out."""
        return self.affects is None or bool(self.affects - {REPORT})

    @property
    def of_the_setting(self) -> bool:
        """Whether a setting is made of it: what a sweep freezes, and by which runs that are compared differ."""
        return self.role is None and self.decides_the_score


def knobs_of(node: Any, kind: str) -> dict[str, Any]:
    """The knobs of a configuration node that decide the content of stages of this kind, nested nodes included."""
    content = {}
    for field in dataclasses.fields(node):
        affects, role = field.metadata.get("affects"), field.metadata.get("role")
        if role in (TASK, MODEL, OUTSIDE) or (affects is not None and kind not in affects):
            continue
        value = getattr(node, field.name)
        registry = getattr(field.metadata.get("allowed"), "registry", None)
        if registry is not None:
            # A name stands for an implementation: its version is part of what the name says.
            value = [registry.identity(name) for name in value] if isinstance(value, list) else registry.identity(value)
        content[field.name] = knobs_of(value, kind) if dataclasses.is_dataclass(value) else value
    return content


def run_values(run: Any) -> dict[str, Any]:
    """Of a run: all that its result depends on, but for what is identified by content; values by full key."""
    parts = (knob for knob in knobs(run) if knob.role in (None, PER_RUN))
    return {knob.key: knob.value for knob in parts if knob.affects != NOTHING}


def setting_values(run: Any) -> dict[str, Any]:
    """Of the setting that a sweep freezes and a run with `frozen_config` takes; values by full key."""
    return {knob.key: knob.value for knob in knobs(run) if knob.of_the_setting}


def forecast_values(run: Any) -> dict[str, Any]:
    """Of what a run costs, paths and engine settings included; values by full key."""
    return {knob.key: knob.value for knob in knobs(run) if knob.role != OUTSIDE}


def variant_keys(saved: Mapping[str, Any], kind: type[Any]) -> set[str]:
    """Full keys by which variants are told apart, of a saved configuration of `kind`; a knob that it lacks is one."""
    parts = (knob for knob in saved_knobs(saved, kind) if knob.role in (None, MODEL))
    return {knob.key for knob in parts if knob.decides_the_score}


def knobs(node: Any, prefix: str = "", role: str | None = None) -> Iterator[Knob]:
    """All knobs of a typed configuration; one without a role of its own has its node's."""
    for field in dataclasses.fields(node):
        value, said = getattr(node, field.name), field.metadata
        below = said.get("role", role)
        if dataclasses.is_dataclass(value):
            yield from knobs(value, f"{prefix}{field.name}.", below)
        else:
            yield Knob(f"{prefix}{field.name}", value, said.get("affects"), below)


def saved_knobs(
    saved: Mapping[str, Any], kind: type[Any] | None, prefix: str = "", role: str | None = None
) -> Iterator[Knob]:
    """The same of a configuration of plain dictionaries and the dataclass `kind` that it is of."""
    known = declared(kind)
    for name, value in saved.items():
        said = known[name].metadata if name in known else {}
        below = said.get("role", role)
        if isinstance(value, Mapping):
            inner = node_type(known[name].type) if name in known else None
            yield from saved_knobs(value, inner, f"{prefix}{name}.", below)
        else:
            yield Knob(f"{prefix}{name}", value, said.get("affects"), below)


def knob_at(key: str, kind: type[Any] | None) -> Knob:
    """What is said of a full key of the dataclass `kind`: of the knob, or of the nodes above that are known."""
    affects, role = None, None
    for name in key.split("."):
        known = declared(kind)
        if name not in known:
            return Knob(key, None, None, role)
        affects, role = known[name].metadata.get("affects"), known[name].metadata.get("role", role)
        kind = node_type(known[name].type)
    return Knob(key, None, affects, role)


def declared(kind: type[Any] | None) -> dict[str, "dataclasses.Field[Any]"]:
    """The fields of a dataclass and of those derived from it (the engine's, the method's own), by name."""
    found: dict[str, dataclasses.Field[Any]] = {}
    if kind is not None:
        for derived in kind.__subclasses__():
            found |= declared(derived)
        found |= {field.name: field for field in dataclasses.fields(kind)}
    return found


def node_type(annotation: Any) -> type[Any] | None:
    """The dataclass in `Node` or `Node | None`; None where there is none."""
    options = (annotation, *typing.get_args(annotation))
    return next((each for each in options if isinstance(each, type) and dataclasses.is_dataclass(each)), None)
