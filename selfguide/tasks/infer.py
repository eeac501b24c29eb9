"""What a task file does not say: its family and its labels."""

from collections import Counter

from selfguide.core.errors import DataError
from selfguide.core.types import Family
from selfguide.tasks.raw import RawTask, normalized

# A classification task answers with few, short, often repeated outputs, one to an instance.
MAX_LABELS = 20
MAX_LABEL_CHARS = 60
MIN_MEAN_COUNT = 3
MIN_SINGLE_SHARE = 0.95


def infer_family(task: RawTask) -> Family:
    """ "classification" if the outputs look like labels, else "generation"."""
    outputs = [instance.references[0] for instance in task.rows]
    outputs += [demonstration.output for demonstration in task.demonstrations]
    distinct = Counter(map(normalized, outputs))
    # A handful of demonstrations is all there is without instances: one repeated answer must do.
    enough = MIN_MEAN_COUNT * len(distinct) if task.rows else len(distinct) + 1
    single = sum(len(instance.references) == 1 for instance in task.rows)
    looks_like_labels = (
        2 <= len(distinct) <= MAX_LABELS
        and len(outputs) >= enough
        and all(0 < len(output) <= MAX_LABEL_CHARS for output in distinct)
        and single >= MIN_SINGLE_SHARE * len(task.rows)
    )
    return "classification" if looks_like_labels else "generation"


def infer_labels(task: RawTask) -> tuple[str, ...]:
    """The distinct outputs of the demonstrations: which labels gold has, no method may know.

    Raises `DataError` where they show one label alone.
    """
    labels = tuple(dict.fromkeys(normalized(demonstration.output) for demonstration in task.demonstrations))
    if len(labels) == 1:
        raise DataError(
            f"{task.origin}: the demonstrations show only the label {labels[0]!r}; list all labels in task.labels "
            "(or set task.family=generation)"
        )
    return labels
