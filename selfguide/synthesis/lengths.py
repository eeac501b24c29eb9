"""How many tokens a reply may take: what is configured, or what the task's own texts suggest. Pure."""

from collections.abc import Iterable

LEAST = 100


def token_limit(configured: int | None, texts: Iterable[str]) -> int:
    """`configured`, or as many tokens as the longest text has bytes (about four times its tokens), 100 at least."""
    return configured or max([LEAST, *(len(text.encode()) for text in texts)])
