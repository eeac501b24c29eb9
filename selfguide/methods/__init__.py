"""The methods: each makes something that answers (weights, demonstrations, a classifier) from a task.

A method is a function `(session) -> MethodResult`, found by the name that `method=` takes. None sees gold
but those that say so (`uses_gold`): they get the gold pool, which is never what a run is scored on.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from selfguide.config.loop import claims_gold
from selfguide.config.methods import LOOPS, GoldFinetuneConfig, LoopConfig, MethodConfig
from selfguide.core.errors import ConfigError
from selfguide.methods.result import MethodResult

if TYPE_CHECKING:
    from selfguide.models.session import Session

Method = Callable[["Session"], MethodResult]
# Name -> module.
MODULES = {
    "selfguide": "selfguide",
    "zero_shot": "zero_shot",
    "few_shot_icl": "few_shot_icl",
    "self_icl": "self_icl",
    "few_shot_finetune": "few_shot_finetune",
    "gold_finetune": "gold_finetune",
    **dict.fromkeys(LOOPS, "loop"),
}
NAMES = tuple(MODULES)


def method_named(name: str) -> Method:
    """The method of that name; raises `ConfigError` listing them."""
    if name not in MODULES:
        raise ConfigError(f"method.name: {name!r} is not allowed; allowed: {' | '.join(NAMES)}")
    from importlib import import_module

    method: Method = import_module(f"selfguide.methods.{MODULES[name]}").run
    return method


def uses_gold(method: MethodConfig) -> bool:
    """Whether a method claims gold instances beyond the demonstrations."""
    if isinstance(method, LoopConfig):
        return claims_gold(method)
    return isinstance(method, GoldFinetuneConfig)


def gold_behind(method: MethodConfig) -> bool:
    """The same, or whether the run of `method.initial_data.extra_rows_from_run` did. Raises `DataError`."""
    from selfguide.methods.loop.transfer import source_claims_gold

    return uses_gold(method) or source_claims_gold(method)
