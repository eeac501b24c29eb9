"""The methods: each makes something that answers (weights, demonstrations, a classifier) from a task.

A method is a function `(session) -> MethodResult`, registered under its `method.kind`. None sees gold
but those whose configuration `claims_gold`: they get the gold pool, which is never what a run is scored on.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from selfguide.config.builtin import METHODS
from selfguide.config.loop import MethodConfig
from selfguide.methods.result import MethodResult

if TYPE_CHECKING:
    from selfguide.models.session import Session

Method = Callable[["Session"], MethodResult]


def method_of(config: MethodConfig) -> Method:
    """The implementation of `method.kind`; raises `ConfigError` listing them."""
    method: Method = METHODS.load(config.kind)
    return method
