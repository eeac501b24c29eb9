"""The methods: each makes something that answers (weights, demonstrations, a classifier) from a task.

A method is a function `(session) -> MethodResult`, registered under its `method.kind`. None sees gold
but those whose configuration `claims_gold`: they get the gold pool, which is never what a run is scored on.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from selfguide.config.builtin import METHODS
from selfguide.config.loop import LoopConfig, MethodConfig
from selfguide.methods.result import MethodResult

if TYPE_CHECKING:
    from selfguide.models.session import Session

Method = Callable[["Session"], MethodResult]


def method_of(config: MethodConfig) -> Method:
    """The implementation of `method.kind`; raises `ConfigError` listing them."""
    method: Method = METHODS.load(config.kind)
    return method


def gold_behind(method: MethodConfig) -> bool:
    """Whether it claims gold, or the run of `method.initial_data.extra_rows_from_run` did. Raises `DataError`."""
    if not isinstance(method, LoopConfig):
        return method.claims_gold
    from selfguide.methods.loop.transfer import source_claims_gold

    return method.claims_gold or source_claims_gold(method)
