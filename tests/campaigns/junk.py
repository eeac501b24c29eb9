"""Bytes and values as nobody means them, the same ones for a seed."""

import copy
import random
from typing import Any

DEEP: Any = []
for _ in range(400):
    DEEP = [DEEP]
TEXTS = [
    "",
    " ",
    "\x00",
    "\x1b[31m",
    "\ud800",
    "\u202e",
    "${oc.env:HOME}",
    "${",
    "../../x",
    "a" * 100_000,
    "%s{}",
    "ｙｅｓ",
]
NUMBERS = [0, -1, 2**63, 10**400, 1.5, -0.0, 1e308, float("nan"), float("inf"), True]
SHAPES: list[Any] = [None, [], {}, [None], {"": None}, [[]], {"input": 1}, {"a": {"a": 1}}]


def junk(stream: random.Random) -> Any:
    """One value."""
    kinds: list[list[Any]] = [TEXTS, NUMBERS, SHAPES]
    return copy.copy(stream.choice(stream.choice(kinds)))


def alter_value(value: Any, stream: random.Random) -> Any:
    """A copy of a JSON value with one to three parts replaced, left out, doubled or renamed."""
    altered = copy.deepcopy(value)
    for _ in range(stream.randint(1, 3)):
        altered = _alter_once(altered, stream)
    return altered


def alter_bytes(content: bytes, stream: random.Random) -> bytes:
    """Cut, flipped, replaced, doubled, put in."""
    if not content:
        return stream.randbytes(10)
    start = stream.randrange(len(content))
    end = min(len(content), start + stream.randrange(1, 40))
    put = stream.choice(
        [b"", b"\x00", b"\xff\xfe", stream.randbytes(5), b'"', b"{", b"]", b"[" * 5000, b"1" * 5000, b"\r\n"]
    )
    return stream.choice(
        [
            content[:start],
            content[:start] + bytes([content[start] ^ 1 << stream.randrange(8)]) + content[start + 1 :],
            content[:start] + put + content[end:],
            content[:start] + put + content[start:],
            content[:end] + content[start:],
            b"\xef\xbb\xbf" + content,
            content.decode("utf-8", "replace").encode("utf-16"),
        ]
    )


def _alter_once(value: Any, stream: random.Random) -> Any:
    parts = list(_parts(value))
    if not parts or stream.random() < 0.02:
        return junk(stream)
    holder, key = stream.choice(parts)
    match stream.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[stream.choice([*TEXTS[:8], "Input", "x"])] = holder.pop(key)
        case 1:
            holder.insert(key, copy.deepcopy(holder[key]))
        case 2 if stream.random() < 0.1:
            holder[key] = DEEP
        case _:
            holder[key] = junk(stream)
    return value


def _parts(value: Any) -> Any:
    """(holder, key or index) of every part."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        if value[key] is not DEEP:
            yield value, key
            yield from _parts(value[key])
