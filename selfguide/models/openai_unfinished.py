"""Answers of calls that broke off: the requests they belong to are not sent, and paid for, again."""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from selfguide.core.files import canonical_json, json_text
from selfguide.models.base import Completion

log = logging.getLogger(__name__)
Body = Mapping[str, Any]


class Unfinished:
    """One small file for each answer, named by the hash of its request; none while calls end well.

    `served_by` tells engine and model apart; it is asked only when there is something to keep or to find.
    """

    def __init__(self, folder: Path, served_by: Callable[[], str]) -> None:
        self._folder = folder
        self._served_by = served_by

    def find(self, body: Body) -> list[Completion] | None:
        """The answer to a request of a call that broke off."""
        if not self._folder.is_dir():
            return None
        try:
            rows = json.loads(self._file(body).read_text(encoding="utf-8"))
            return [
                Completion(text, tuple(ids), logprob, finish, (prompt, size))
                for text, ids, logprob, finish, prompt, size in rows
            ]
        except (FileNotFoundError, ValueError):  # a machine that died may leave half a file
            return None

    def keep(self, body: Body, answer: list[Completion]) -> None:
        """Called in the middle of a failure, so a full disk is a warning."""
        file = self._file(body)
        rows = [[one.text, list(one.token_ids), one.logprob, one.finish, *one.counted] for one in answer]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(".tmp")
            temporary.write_text(json_text(rows), encoding="utf-8")
            temporary.replace(file)
        except OSError as error:
            log.warning("engine=openai: an answer was lost: %s", error)

    def forget(self, body: Body) -> None:
        """The call that this request belongs to has ended."""
        self._file(body).unlink(missing_ok=True)

    def _file(self, body: Body) -> Path:
        name = hashlib.sha256(canonical_json([self._server, body]).encode("utf-8", "surrogatepass")).hexdigest()
        return self._folder / f"{name[:32]}.json"

    @cached_property
    def _server(self) -> str:
        return self._served_by()
