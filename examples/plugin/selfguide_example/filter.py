"""A filter: made for a task, then asked about each text. Drops are counted under its name."""

from collections.abc import Callable

from selfguide.config.schema import FiltersConfig
from selfguide.core.types import TaskSpec


def no_digits(task: TaskSpec, config: FiltersConfig, side: str) -> Callable[[str], str | None] | None:
    """Inputs with a digit are dropped; of outputs it says nothing."""
    if side == "output":
        return None
    return lambda text: "a digit" if any(character.isdigit() for character in text) else None
