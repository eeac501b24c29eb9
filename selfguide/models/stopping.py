"""Where a completion ends: end-of-sequence tokens and stop strings."""

from collections.abc import Sequence
from typing import Any


class StopStrings:
    """Finds stop strings in token sequences of one tokenizer, decoding only where one can have ended."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(s for s in stop if s)
        self._last = {s[-1] for s in self._stop}
        self._may_end: dict[int, bool] = {}

    def hit(self, token_ids: Sequence[int]) -> bool:
        """Whether the sequence holds a stop string, given that it held none before its last token."""
        if not self._stop or not self._can_end_with(token_ids[-1]):
            return False
        text = self._decode(token_ids)
        return any(stop in text for stop in self._stop)

    def cut(self, text: str) -> str:
        """The text before the first stop string."""
        ends = [position for stop in self._stop if (position := text.find(stop)) >= 0]
        return text[: min(ends)] if ends else text

    def _can_end_with(self, token_id: int) -> bool:
        known = self._may_end.get(token_id)
        if known is None:
            text = self._decode([token_id])
            # A lone byte of a longer character decodes to U+FFFD: it may be any character.
            known = "\ufffd" in text or any(last in text for last in self._last)
            self._may_end[token_id] = known
        return known

    def _decode(self, token_ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=False))
