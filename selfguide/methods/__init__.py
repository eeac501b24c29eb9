"""The methods: each makes finetuned weights (or none) from a task, and sees no gold.

A method is a function `(session) -> Outcome`, registered by the name that `method=` takes.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from selfguide.errors import ConfigError
from selfguide.methods.outcome import Outcome

if TYPE_CHECKING:
    from selfguide.session import Session

Method = Callable[["Session"], Outcome]
NAMES = ("selfguide", "few_shot_icl", "few_shot_finetune")


def method_named(name: str) -> Method:
    """The method of that name; raises `ConfigError` listing them."""
    if name not in NAMES:
        raise ConfigError(f"method.name: {name!r} is not allowed; allowed: {' | '.join(NAMES)}")
    from importlib import import_module

    method: Method = import_module(f"selfguide.methods.{name}").run
    return method
