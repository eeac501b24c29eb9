"""What came of each fault: refused in one line, healed, without effect, or a defect."""

import io
import signal
import traceback
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import FrameType
from typing import Any, NoReturn

from selfguide.core.errors import SelfguideError
from selfguide.core.escaping import terminal

SECONDS = 20
"""A fault that takes longer hangs. Some of what is tried takes seconds when it is well."""
MAX_LINE = 2100
UNSHOWN = ("Cc", "Cs", "Zl", "Zp")


class Hang(BaseException):
    """Not caught by what is tried."""


class Tally:
    """`size` faults are to be tried, those with these `numbers`."""

    def __init__(self, name: str, size: int, first: int = 0) -> None:
        self.name, self.size, self.numbers = name, size, range(first, first + size)
        self.refused = self.healed = self.unharmed = 0
        self.defects: list[str] = []

    def attempt(self, fault: object, call: Callable[[], Any], seconds: int = SECONDS) -> Any:
        """`call()`: returns what it returns, None for a refusal in one line or for a defect."""
        try:
            with _at_most(seconds):
                result = call()
        except SelfguideError as error:
            self.refuse(fault, str(error))
        except Hang:
            self.defects.append(f"{fault!r}: hangs for more than {seconds} s")
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            self.defects.append(f"{fault!r}: {type(error).__name__}: {error} ({where.filename}:{where.lineno})")
        else:
            self.unharmed += 1
            return result

    def compare(self, fault: str, result: Any, *, right: bool, healed: bool) -> None:
        """What `attempt` returned: a result that is not `right` is a defect, a right one healed or as before."""
        if result is None:
            return
        self.unharmed -= 1
        if not right:
            self.defects.append(fault)
        elif healed:
            self.healed += 1
        else:
            self.unharmed += 1

    def attempt_command(self, fault: object, main: Callable[[], Any], seconds: int = SECONDS) -> None:
        """`attempt` of a command, which ends in 0, or in 2 with one line."""
        errors, output = io.StringIO(), io.StringIO()

        def run() -> None:
            with redirect_stderr(errors), redirect_stdout(output):
                main()

        def ended() -> None:
            try:
                run()
            except SystemExit as left:
                if left.code not in (0, None):
                    line = errors.getvalue()
                    if left.code != 2 or not line.startswith("error: ") or len(line) > MAX_LINE:
                        raise AssertionError(f"ended with {left.code}: {line}") from left
                    raise SelfguideError(line.removeprefix("error: ").removesuffix("\n")) from left

        self.attempt(fault, ended, seconds)

    def refuse(self, fault: object, line: str) -> None:
        """Count a refusal, which must be one line that a terminal can show."""
        if "\n" in line.strip() or not line.strip():
            self.defects.append(f"{fault!r}: not a line: {line!r}")
        elif any(unicodedata.category(character) in UNSHOWN for character in terminal(line)):
            self.defects.append(f"{fault!r}: control characters in {line!r}")
        else:
            self.refused += 1

    @property
    def tried(self) -> int:
        return self.refused + self.healed + self.unharmed + len(self.defects)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.tried:,} tried, {self.refused:,} refused in a line, {self.healed:,} healed, "
            f"{self.unharmed:,} as before, {len(self.defects)} defects"
        )


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def late(signum: int, frame: FrameType | None) -> NoReturn:
        raise Hang

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
