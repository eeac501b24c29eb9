"""A file or folder that cannot be used, in one line."""

import errno
import os
import re
import shutil
from collections.abc import Iterator

# The disk's own state; any other OSError without a file's name is a bug.
_STATE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO)
# Libraries in C++ and Rust give the system's words, or the number, in an error of their own.
_SAID = re.compile("|".join(["disk is full", *(re.escape(os.strerror(number)) for number in _STATE)]))
_NUMBERED = re.compile(r"\b(?:os error|errno) (\d+)\b", re.IGNORECASE)
_ADVICE = "choose another folder (store.root, hydra.run.dir), or check permissions and free space"


def about_files(error: BaseException) -> str | None:
    """The line for an error that is about a file, or was raised for one that is; `None` for any other error."""
    if isinstance(error, shutil.Error):
        return f"{_copied(error)}; {_ADVICE}"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; {_ADVICE}"
    for link in chain(error):
        if isinstance(link, OSError) and link.errno in _STATE:
            return f"{link.filename or 'the disk'}: {link.strerror}; {_ADVICE}"
        if isinstance(link, Exception) and (reason := _reason(str(link))):
            return f"the disk: {reason}; {_ADVICE}"
    return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it was raised for, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(text: str) -> str | None:
    if match := _SAID.search(text):
        return match[0]
    numbers = [int(number) for number in _NUMBERED.findall(text)]
    return next((os.strerror(number) for number in numbers if number in _STATE), None)


def _copied(error: shutil.Error) -> str:
    """`shutil.copytree` raises one error with a list of (source, target, reason)."""
    first = error.args[0][0] if error.args and isinstance(error.args[0], list) and error.args[0] else error
    return f"{first[1]}: {first[2]}" if isinstance(first, tuple) and len(first) == 3 else str(first)
