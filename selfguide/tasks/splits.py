"""Which instances are for validation and which for the test."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfguide.core.errors import ConfigError, DataError
from selfguide.core.optional import optional
from selfguide.core.paths import expanded
from selfguide.core.seeding import child_random, child_seed
from selfguide.core.types import Instance, Split
from selfguide.tasks.gold import SPLITS
from selfguide.tasks.infer import MAX_LABELS, MIN_MEAN_COUNT
from selfguide.tasks.raw import RawTask, normalized, read_text

# As in conf/data/default.yaml: the paper's tasks are split so unless the result says otherwise.
DEFAULT_FRACTION, DEFAULT_SEED = 0.1, 42

Splits = dict[Split, tuple[Instance, ...]]
Group = list[int]  # indices of the instances that have one input


def seeded_split(task: RawTask, fraction: float, seed: int, stream: str, *, stratify: bool) -> Splits:
    """A random split with `fraction` of the instances for validation, each label in proportion.

    Instances with the same input (white space normalised) fall on the same side. The order inside
    a split is random, so its first n are a fair sample.
    """

    def label(group: Group) -> str:
        return task.instances[group[0]].references[0] if stratify else ""

    return _split(task, fraction, child_random(seed, "split", stream).shuffle, label)


def content_split(task: RawTask, fraction: float, seed: int) -> Splits:
    """As `seeded_split`, by the instances alone: neither the task's name nor the order of its file has a say.

    Each instance's rank follows from its own input, so that hardly any changes sides when others are added or left
    out. Labels are in proportion where the outputs look like labels.
    """
    distinct = len({instance.references[0] for instance in task.instances})
    stratify = distinct <= MAX_LABELS and MIN_MEAN_COUNT * distinct <= len(task.instances)

    def rank(group: Group) -> int:
        return child_seed(seed, "split", normalized(task.instances[group[0]].input))

    def label(group: Group) -> str:
        return min(task.instances[index].references[0] for index in group) if stratify else ""

    return _split(task, fraction, lambda groups: groups.sort(key=rank), label)


def _split(
    task: RawTask, fraction: float, shuffle: Callable[[list[Group]], None], label_of: Callable[[Group], str]
) -> Splits:
    groups: dict[str, Group] = defaultdict(list)
    for index, instance in enumerate(task.instances):
        groups[normalized(instance.input)].append(index)
    strata: dict[str, list[Group]] = defaultdict(list)
    for group in groups.values():
        strata[label_of(group)].append(group)
    validation: set[int] = set()
    seen = 0
    for label in sorted(strata):
        shuffle(strata[label])
        seen += sum(map(len, strata[label]))
        for group in strata[label]:
            # Cumulative over the strata, so that rounding never adds up.
            if len(validation) + len(group) > round(fraction * seen):
                break
            validation.update(group)
    if not validation and len(groups) > 1:
        any_of_them = list(groups.values())
        shuffle(any_of_them)
        validation.update(any_of_them[0])
    order = [[index] for index in range(len(task.instances))]
    shuffle(order)
    return {
        "validation": tuple(task.instances[index] for (index,) in order if index in validation),
        "test": tuple(task.instances[index] for (index,) in order if index not in validation),
    }


def published_split(task: RawTask, seed: int, stream: str) -> Splits:
    """The source's own splits, each in full: its training rows for validation, the others for the test.

    In random order, as `seeded_split` leaves them.
    """
    random = child_random(seed, "split", stream)
    return {
        "validation": tuple(random.sample(task.training, len(task.training))),
        "test": tuple(random.sample(task.instances, len(task.instances))),
    }


def listed_split(task: RawTask, folder: Path) -> Splits:
    """The split that `<folder>/{validation,test}/<task>.txt` lists, one instance id a line.

    A split without a file is empty. Raises DataError for an unknown or repeated id.
    """
    by_id = {instance.id: instance for instance in task.instances}
    splits: Splits = {}
    seen: dict[str, str] = {}
    for split in SPLITS:
        path = folder / split / f"{task.name}.txt"
        rows = []
        for number, line in enumerate(read_text(path, "data.split_path").splitlines() if path.exists() else [], 1):
            identity = line.strip()
            if not identity:
                continue
            if identity not in by_id:
                raise DataError(f"{path} line {number}: {task.origin} has no instance {identity!r}")
            if identity in seen:
                raise DataError(f"{path} line {number}: {identity!r} is already listed at {seen[identity]}")
            seen[identity] = f"{path} line {number}"
            rows.append(by_id[identity])
        splits[split] = tuple(rows)
    if not seen:
        raise DataError(
            f"data.split_path: {folder} lists no instances for {task.name} (validation/{task.name}.txt, test/…)"
        )
    return splits


def reference_split(task: RawTask, folder: Path) -> Splits:
    """The split in the published repository's `NI_dataset` folder (datasets saved as Arrow).

    Rows there have one output; an instance of the task file with the same input and that output
    among its references takes the row's place, so that its id and other references are kept.
    """
    if not folder.is_dir():
        raise DataError(f"data.split_path: {folder} is not a folder; give the repository's NI_dataset folder")
    known: dict[tuple[str, str], Instance] = {}
    for instance in task.instances:
        for reference in instance.references:
            known.setdefault((normalized(instance.input), normalized(reference)), instance)
    names: dict[Split, tuple[str, ...]] = {"validation": ("validation", "eval"), "test": ("test",)}
    splits: Splits = {}
    for split in SPLITS:
        found = [folder / name / task.name for name in names[split] if (folder / name / task.name).is_dir()]
        splits[split] = _known_rows(task.name, split, found[0], known) if found else ()
    if not any(splits.values()):
        raise DataError(f"data.split_path: {folder} has no {task.name} (looked for test/{task.name}, validation/…)")
    return splits


def _known_rows(task: str, split: Split, path: Path, known: dict[tuple[str, str], Instance]) -> tuple[Instance, ...]:
    rows: list[Instance] = []
    used: set[str] = set()
    for index, row in enumerate(_arrow_rows(path)):
        try:
            text, output = row["input_col"], row["output_col"]
        except KeyError as error:
            raise DataError(f"{path}: has no column {error}; expected input_col and output_col") from None
        instance = known.get((normalized(text), normalized(output)))
        if instance is None or instance.id in used:
            instance = Instance(f"{task}-{split}-{index}", text, (output,))
        used.add(instance.id)
        rows.append(instance)
    return tuple(rows)


def _arrow_rows(path: Path) -> Sequence[Any]:
    datasets = optional("datasets", "data.split=reference", "hub")
    try:
        rows: Sequence[Any] = datasets.load_from_disk(str(path))
    except Exception as error:  # a damaged Arrow folder fails in many ways
        raise DataError(f"{path}: cannot be read as a saved dataset ({type(error).__name__})") from None
    return rows


def split_folder(split_path: str | None, kind: str) -> Path:
    """The folder of a split that is read from disk. Raises ConfigError."""
    if not split_path:
        raise ConfigError(f"data.split_path: required for data.split={kind}")
    folder = expanded(split_path, "data.split_path")
    if not folder.is_dir():
        raise ConfigError(f"data.split_path: {folder} is not a folder")
    return folder
