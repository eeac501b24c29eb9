"""What a loop may still spend on its teacher. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CallBudget:
    """Calls and generated tokens that are left; None: no bound."""

    calls: int | None = None
    tokens: int | None = None

    def without(self, spent: Mapping[str, int]) -> "CallBudget":
        """What is left after a stage that took so many `calls` and `generated` tokens."""
        return self.less(spent.get("calls", 0), spent.get("generated", 0))

    def less(self, calls: int, tokens: int) -> "CallBudget":
        """What is left after so many more."""
        return CallBudget(
            None if self.calls is None else max(0, self.calls - calls),
            None if self.tokens is None else max(0, self.tokens - tokens),
        )

    def items(self, calls: int) -> int | None:
        """How many items of so many calls each are paid for; None: no bound."""
        if self.spent is not None:
            return 0
        return None if self.calls is None else self.calls // calls

    def closed_below(self, calls: int) -> "CallBudget":
        """The same, with no calls left where an item takes more than there are."""
        return self if self.calls is None or self.calls >= calls else replace(self, calls=0)

    @property
    def spent(self) -> str | None:
        """Which bound is reached: "calls" or "tokens"."""
        return "calls" if self.calls == 0 else "tokens" if self.tokens == 0 else None
