"""What identifies a stage, a run, a setting, derived from what each knob says that it affects.

`affects` of a knob is a set of stage kinds ("inputs", "outputs", "dataset", "training", …), or of these:

- CHOICE: it decides which of a stage's results is used (an epoch, a number of copies); what is used is part of
  later keys, so the knob itself is part of none.
- REPORT: columns, intervals and checks; the score stays.
- NOTHING (no kind at all): where and how fast a run happens.

A knob that says nothing of itself is part of every key of its node: new knobs fail safe.
"""

import dataclasses
from typing import Any

CHOICE = "choice"
REPORT = "report"
NOTHING: frozenset[str] = frozenset()


def knobs_of(node: Any, kind: str) -> dict[str, Any]:
    """The knobs of a configuration node that decide the content of stages of this kind, nested nodes included."""
    content = {}
    for field in dataclasses.fields(node):
        affects = field.metadata.get("affects")
        if affects is not None and kind not in affects:
            continue
        value = getattr(node, field.name)
        registry = getattr(field.metadata.get("allowed"), "registry", None)
        if registry is not None:
            # A name stands for an implementation: its version is part of what the name says.
            value = [registry.identity(name) for name in value] if isinstance(value, list) else registry.identity(value)
        content[field.name] = knobs_of(value, kind) if dataclasses.is_dataclass(value) else value
    return content
