"""The truth about a micro task, for reports only: no method reads it."""

from collections.abc import Iterator, Sequence

from benchmarks.micro.benchmark_tasks import BY_NAME


def truth(task_name: str, text: str) -> str | None:
    """The right output of `text`; None when it is not a valid input (or the task has no oracle)."""
    task = BY_NAME.get(task_name.removeprefix("micro_"))
    return None if task is None else task.truth(text)


def invalid_inputs(task_name: str, inputs: Sequence[str]) -> Iterator[str]:
    """One line if less than half of the new inputs are inputs of a bundled task. Of other tasks nobody knows."""
    if task_name.removeprefix("micro_") not in BY_NAME or not inputs:
        return
    valid = sum(truth(task_name, text) is not None for text in inputs)
    if valid < len(inputs) / 2:
        yield f"{valid} of {len(inputs)} new inputs are inputs of this task, by its oracle: most of them are not"
