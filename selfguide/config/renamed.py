"""Names that the configuration no longer has, and what took their place. A used one is refused with one line."""

from collections.abc import Iterator, Mapping
from typing import Any

# Old key -> new key. A group stands for all below it, the longest match counts.
KEYS = {
    "annotation.asked_label_votes": "annotation.conditioning_label_weight",
    "curation.least": "curation.min_confidence",
    "engine.own_process": "engine.separate_process",
    "lock": "frozen_config",
    "method.diagnose.most": "method.diagnose.max_exemplars",
    "method.initial_data.extra_rows_from_run": "method.initial_data.extra_rows",
    "method.most": "method.max_demonstrations",
    "method.plan": "method.attributes",
    "method.seed": "method.initial_data",
    "method.seed.added_from": "method.initial_data.extra_rows",
    "method.seed.least": "method.initial_data.min_items",
    "sweep.replace_lock": "sweep.replace_frozen_config",
}
# (key, old value) -> new value, keys by their present names; for a group, its options.
VALUES = {
    ("annotation.share_of", "asked"): "requested",
    ("table", "s3_studies"): "s3_table2",
    ("method.compose.train_on", "seed"): "initial",
    ("method.diagnose.restrict_to", "seed"): "initial",
    ("method.diagnose.source", "seed"): "initial",
}
# What has gone -> what does its work now.
GONE = {
    "hydra/launcher=together": "serve the model with `vllm serve` and use engine=openai, with any launcher",
    "temperature=paper_classification": "use temperature.input=null, which protocol=paper sets",
    "temperature=paper_generation": "use temperature.input=null, which protocol=paper sets",
}


def renamed_key(key: str) -> str | None:
    """The line that refuses a dotted key of an earlier version; None for any other key."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        new = KEYS.get(".".join(parts[:length]))
        if new is not None:
            return f"{key}: was renamed; use {'.'.join([new, *parts[length:]])}"
    return None


def renamed_value(key: str, value: object) -> str | None:
    """The line that refuses a value or a group's option of an earlier version; None for any other."""
    if not isinstance(value, str):
        return None
    if (new := VALUES.get((key, value))) is not None:
        return f"{key}: {value} was renamed; use {key}={new}"
    if (instead := GONE.get(f"{key}={value}")) is not None:
        return f"{key}: there is no {value} any more; {instead}"
    return None


def renamed_in(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """The lines for a saved configuration, nested or with dotted keys."""
    for name, value in values.items():
        key = f"{prefix}{name}"
        # `method.seed.least` has a new name of its own: what is below comes first.
        below = list(renamed_in(value, f"{key}.")) if isinstance(value, Mapping) else []
        line = renamed_key(key) or renamed_value(key, value)
        yield from below or ([line] if line else [])
