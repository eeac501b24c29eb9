"""From the configuration to a task: what a method may see, and the gold that it may not."""

import logging
from dataclasses import replace

from selfguide.config.builtin import SOURCES
from selfguide.config.schema import DataConfig, TaskConfig
from selfguide.core.errors import ConfigError, DataError
from selfguide.core.seeding import child_random
from selfguide.core.types import Example, Family, LabelExtraction, TaskSpec
from selfguide.tasks.context import split_context
from selfguide.tasks.declared_labels import check_labels
from selfguide.tasks.gold import GoldData
from selfguide.tasks.identity import Identity
from selfguide.tasks.infer import infer_family, infer_labels
from selfguide.tasks.own_rows import read_inputs
from selfguide.tasks.raw import RawTask, normalized, read_example
from selfguide.tasks.splits import (
    DEFAULT_FRACTION,
    DEFAULT_SEED,
    Splits,
    content_split,
    listed_split,
    published_split,
    reference_split,
    seeded_split,
    split_folder,
)

log = logging.getLogger(__name__)


def load_task(task: TaskConfig, data: DataConfig, seed: int) -> tuple[TaskSpec, GoldData]:
    """The task and its gold instances. `seed` matters for `demonstration_choice: seeded` alone.

    Raises ConfigError for a mistake in the configuration, DataError for one in a file.
    """
    labels = check_labels(task)
    raw = _with_overrides(read_task(task, data), task)
    if labels is None and task.family != "generation":
        labels = raw.labels
    family = _family(task, raw, labels)
    if not raw.demonstrations:
        raise DataError(f"{raw.origin}: has no demonstrations; add some, or set task.demonstrations")
    if family == "classification" and labels is None:
        labels = infer_labels(raw)
        log.info("%s: labels inferred from the demonstrations: %s", raw.name, ", ".join(labels))
    spec = TaskSpec(
        name=raw.name,
        family=family,
        instruction=raw.instruction,
        demonstrations=_as_labels(_chosen(raw, task, seed), labels or (), raw.origin),
        labels=labels or (),
        metric=_metric(task, family),
        label_extraction=_extraction(task.label_extraction),
        noise_terms=tuple(task.noise_terms),
        context_until=task.context_until,
        inputs=read_inputs(task.inputs),
    )
    _check_context(spec, raw)
    # All of the file's demonstrations are dropped, so the gold is the same however many are used.
    identity = Identity.of(raw, task)
    if identity.group is not None and not raw.training:
        test = _seeded(raw, DEFAULT_FRACTION, DEFAULT_SEED, identity)["test"]
        identity = replace(identity, test_inputs=frozenset(normalized(row.input) for row in test))
    gold = GoldData(raw.name, split_task(raw, data, identity), raw.demonstrations, raw.valid_input, identity)
    _check_gold_labels(raw, labels or ())
    return spec, gold


def read_task(task: TaskConfig, data: DataConfig) -> RawTask:
    """The task as its source has it."""
    raw = SOURCES.load(task.source)(task, data)
    if not isinstance(raw, RawTask):
        raise DataError(f"task.source: {task.source} gave a {type(raw).__name__}; allowed: selfguide.tasks.raw.RawTask")
    return raw


def split_task(raw: RawTask, data: DataConfig, identity: Identity) -> Splits:
    """The instances by split, as `data.split` says; a source with a training split of its own has them by that."""
    if raw.training:
        return published_split(raw, data.split_seed, identity.preset or identity.content)
    if data.split == "ids":
        return listed_split(raw, split_folder(data.split_path, "ids"))
    if data.split == "reference":
        return reference_split(raw, split_folder(data.split_path, "reference"))
    return _seeded(raw, data.validation_fraction, data.split_seed, identity)


def _seeded(raw: RawTask, fraction: float, seed: int, identity: Identity) -> Splits:
    if identity.preset is None:
        return content_split(raw, fraction, seed)
    return seeded_split(raw, fraction, seed, identity.preset, stratify=identity.family == "classification")


def _with_overrides(raw: RawTask, task: TaskConfig) -> RawTask:
    demonstrations = raw.demonstrations
    if task.demonstrations is not None:
        demonstrations = tuple(
            read_example(dict(item), f"task.demonstrations[{i}]") for i, item in enumerate(task.demonstrations)
        )
    return replace(raw, instruction=task.instruction or raw.instruction, demonstrations=demonstrations)


def _family(task: TaskConfig, raw: RawTask, labels: tuple[str, ...] | None) -> Family:
    if task.family == "classification":
        return "classification"
    if task.family == "generation":
        return "generation"
    if labels is not None:
        return "classification"
    family = infer_family(raw)
    log.info("%s: family inferred from the data: %s", raw.name, family)
    return family


def _metric(task: TaskConfig, family: Family) -> str:
    if task.metric == "auto":
        return "exact_match" if family == "classification" else "rouge_l"
    if task.metric == "accuracy" and family == "generation":
        raise ConfigError("task.metric: accuracy needs labels; use exact_match for a generation task")
    return str(task.metric)


def _extraction(value: str) -> LabelExtraction:
    rules: dict[str, LabelExtraction] = {
        "exact": "exact",
        "first_line": "first_line",
        "last_occurrence": "last_occurrence",
        "reference": "reference",
    }
    return rules[value]


def _chosen(raw: RawTask, task: TaskConfig, seed: int) -> tuple[Example, ...]:
    wanted = task.num_demonstrations
    if wanted is None:
        return raw.demonstrations
    if wanted > len(raw.demonstrations):
        raise ConfigError(f"task.num_demonstrations: {wanted}, but {raw.origin} has {len(raw.demonstrations)}")
    if task.demonstration_choice == "first":
        return raw.demonstrations[:wanted]
    return tuple(child_random(seed, "demonstrations", raw.name).sample(raw.demonstrations, wanted))


def _as_labels(demonstrations: tuple[Example, ...], labels: tuple[str, ...], origin: str) -> tuple[Example, ...]:
    """Demonstrations whose outputs are labels, to the letter, for classification."""
    if not labels:
        return demonstrations
    fixed = []
    for index, demonstration in enumerate(demonstrations):
        output = normalized(demonstration.output)
        if output not in labels:
            same = [label for label in labels if label.casefold() == output.casefold()]
            if not same:
                listed = ", ".join(labels)
                raise DataError(
                    f"{origin}: demonstration {index} has the output {output!r}, not in task.labels ({listed})"
                )
            output = same[0]
        fixed.append(Example(demonstration.input, output))
    return tuple(fixed)


def _check_context(spec: TaskSpec, raw: RawTask) -> None:
    marker = spec.context_until
    if marker is None:
        return
    for index, demonstration in enumerate(spec.demonstrations):
        if split_context(demonstration.input, marker) is None:
            raise ConfigError(f"task.context_until: {marker!r} does not occur in the input of demonstration {index}")
    whole = sum(split_context(row.input, marker) is None for row in raw.rows)
    if raw.rows and whole == len(raw.rows):
        raise ConfigError(f"task.context_until: {marker!r} does not occur in any input of {raw.origin}")
    if whole:
        log.warning("%s: %d instances have no context before %r", raw.name, whole, marker)


def _check_gold_labels(raw: RawTask, labels: tuple[str, ...]) -> None:
    if not labels or not raw.rows:
        return
    folded = {label.casefold() for label in labels}
    strange = [i for i in raw.rows if not any(normalized(r).casefold() in folded for r in i.references)]
    if len(strange) == len(raw.rows):
        raise DataError(f"{raw.origin}: no output is one of task.labels ({', '.join(labels)}); check the labels")
    if strange:
        example = strange[0].references[0]
        log.warning(
            "%s: %d of %d instances have an output that is none of the labels (%s), e.g. %r, and count as wrong; "
            "list it in task.labels if it is one",
            *(raw.name, len(strange), len(raw.rows), ", ".join(labels), example),
        )
