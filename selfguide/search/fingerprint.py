"""What a study is bound to, and how two bindings differ."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from selfguide.core.files import canonical_json


def fingerprint(binding: Mapping[str, Any]) -> str:
    """12 hex digits; equal for equal bindings whatever the order of their keys."""
    return hashlib.sha256(canonical_json(binding).encode()).hexdigest()[:12]


def study_name(name: str, binding: Mapping[str, Any]) -> str:
    """The study of this name that belongs to this binding alone."""
    return f"{name}-{fingerprint(binding)}"


def differences(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    """One line per differing leaf: `model.identity: a -> b`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}, key=str):
            yield from differences(old.get(key, ABSENT), new.get(key, ABSENT), f"{prefix}{key}.")
    elif old != new:
        yield f"{prefix.rstrip('.')}: {_shown(old)} -> {_shown(new)}"


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:28] + "…" + text[-28:]
