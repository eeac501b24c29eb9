"""Which stages jobs share, told from their settings: those that share none do not wait for each other. Pure."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from selfguide.config.identity import knob_at
from selfguide.config.schema import RunConfig
from selfguide.core.files import canonical_json
from selfguide.search.results import Cell

STAGES = ("inputs", "outputs", "dataset", "training")
"""In their order: each is made of those before it."""
# From which stage on what a node says matters; of any other, from the first.
FIRST = {"temperature.output": 1, "annotation": 1, "finetuning": 3, "student": 3, "curation": 3, "evaluation": 4}


def work_of(cell: Cell, values: Mapping[str, Any]) -> frozenset[str]:
    """Keys of what a run of a setting makes; two runs with a key in common make that once, and one waits."""
    task, seed = cell
    first = {key: _first(key) for key in values}
    keys = [f"baseline {task}"]
    for number, stage in enumerate(STAGES):
        deciding = {key: value for key, value in values.items() if first[key] <= number}
        keys.append(f"{stage} {task} {seed} {canonical_json(deciding)}")
    return frozenset(keys)


@cache
def _first(key: str) -> int:
    affects = knob_at(key, RunConfig).affects
    node = max((name for name in FIRST if f"{key}.".startswith(f"{name}.")), key=len, default=None)
    at_node = 0 if node is None else FIRST[node]
    if affects is None:
        return at_node
    return min((max(at_node, STAGES.index(kind)) for kind in affects if kind in STAGES), default=len(STAGES))
