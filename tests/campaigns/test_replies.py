"""Replies of a server that means no good, other ones than those of tests/models."""

from collections.abc import Callable

import pytest

from selfguide.models.openai import OpenAIEngine
from tests.campaigns.tally import Tally
from tests.models.raw_server import RawServer
from tests.models.test_openai_replies import engines, server, tried  # noqa: F401

pytestmark = pytest.mark.slow
SIZE, AT_ONCE = 10_000, 500


def test_replies(
    server: RawServer,  # noqa: F811
    engines: dict[str, OpenAIEngine],  # noqa: F811
    tally: Callable[[str, int], Tally],
) -> None:
    counts = tally("replies of a server", SIZE)
    while counts.tried < counts.size and not counts.defects:
        seed = counts.numbers.start + counts.tried + 1
        size = min(AT_ONCE, counts.size - counts.tried)
        try:
            came = tried(server, engines, size, seed)
        except Exception as error:
            counts.defects.append(f"seed {seed}: {error!r}")
        else:
            counts.refused += came["refused"]
            counts.unharmed += came["answers"]
