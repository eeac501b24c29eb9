"""The key of an OpenAI-compatible server: from the environment into one header, and nowhere else."""

import json
import os
from urllib.parse import quote

from selfguide.core.errors import ConfigError

SHOWN = 300
"""Characters of a server's words that a message quotes."""


class ApiKey:
    """The key in an environment variable; an empty one is none. Raises `ConfigError` for what no header can hold."""

    def __init__(self, variable: str) -> None:
        # A key that comes from a mounted secret often ends in a newline.
        key = os.environ.get(variable, "").strip()
        if not all("!" <= character <= "~" for character in key):
            raise ConfigError(
                f"engine.api_key_env: the environment variable {variable} holds white space or a character beyond "
                "ASCII; allowed: a key of printable ASCII characters"
            )
        self._key = key
        # As it stands, as Python or JSON writes it, as an address does.
        spellings = {key, repr(key)[1:-1], json.dumps(key)[1:-1], quote(key, safe="")} - {""}
        self._spellings = sorted(spellings, key=len, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._key)

    def headers(self) -> dict[str, str]:
        """What a request carries."""
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def masked(self, text: str) -> str:
        """What a server said, as a message may quote it: without the key, in one line, not too long."""
        for spelling in self._spellings:
            text = text.replace(spelling, "***")
        # Only now: a cut first could leave a part of the key.
        return " ".join(text.split())[:SHOWN]
