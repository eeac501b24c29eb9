"""Which gold is behind a model, or behind the rows of a run: hashes of instances, no texts.

It lies beside weights, so that what was trained on gold is known as such where it is a base model.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from selfguide.core.errors import DataError
from selfguide.core.types import Instance
from selfguide.tasks.raw import normalized

FILE = "selfguide_provenance.json"


@dataclass(frozen=True, slots=True)
class Provenance:
    """`claims_gold`: gold was there to learn from. `instances` are the hashes of what was, demonstrations too."""

    claims_gold: bool = False
    tasks: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()

    @classmethod
    def of(cls, task: str, inputs: Iterable[str], claims_gold: bool) -> "Provenance":
        """That of a run that could see these inputs with their answers."""
        return cls(claims_gold, frozenset({task}), frozenset(map(instance_hash, inputs)))

    @classmethod
    def from_json(cls, content: Mapping[str, Any], where: str) -> "Provenance":
        """The inverse of `to_json`. Raises `DataError`, with `where` it was read."""
        try:
            tasks, instances = (frozenset(content[name]) for name in ("tasks", "instances"))
            return cls(content["claims_gold"] is not False, tasks, instances)
        except (KeyError, TypeError) as error:
            raise DataError(f"{where}: does not say what it was trained on ({error}); export the model again") from None

    def to_json(self) -> dict[str, Any]:
        """A JSON object, the same for equal values."""
        return {
            "claims_gold": self.claims_gold,
            "tasks": sorted(self.tasks),
            "instances": sorted(self.instances),
        }

    def joined(self, other: "Provenance") -> "Provenance":
        """Of what both are behind."""
        claims = self.claims_gold or other.claims_gold
        return Provenance(claims, self.tasks | other.tasks, self.instances | other.instances)

    def count(self, instances: Iterable[Instance]) -> int:
        """How many of these were seen."""
        return sum(instance_hash(instance.input) in self.instances for instance in instances)


def instance_hash(text: str) -> str:
    """16 hex digits of an input, white space normalised."""
    return hashlib.sha256(normalized(text).encode()).hexdigest()[:16]
