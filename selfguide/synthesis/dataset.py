"""Step 4: from elected candidates to the training pairs. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from selfguide.config.schema import AnnotationConfig
from selfguide.core.seeding import child_random
from selfguide.core.types import Example, TaskSpec
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.sampling import in_turn


def compose(
    task: TaskSpec, candidates: Sequence[Candidate], config: AnnotationConfig, seed: int
) -> tuple[list[Example], list[Candidate]]:
    """The training pairs in the order of their candidates, and the candidates with late drops marked.

    Classification is balanced (`annotation.balance`): down to the rarest label that occurs, or up
    to the commonest by repetition. `annotation.max_rows` caps the set, evenly over labels.
    """
    kept = [index for index, candidate in enumerate(candidates) if candidate.dropped is None]
    repeats = dict.fromkeys(kept, 1)
    reasons: dict[int, str] = {}
    if task.is_classification and config.balance != "off" and kept:
        groups = _by_label(candidates, kept)
        sizes = [len(group) for group in groups.values()]
        for label, group in groups.items():
            order = child_random(seed, "balance", label).sample(group, len(group))
            if config.balance == "downsample":
                reasons.update((index, "balance") for index in order[min(sizes) :])
            else:
                for extra in range(max(sizes) - len(group)):
                    repeats[order[extra % len(order)]] += 1
    kept = [index for index in kept if index not in reasons]
    if config.max_rows is not None and len(kept) > config.max_rows:
        chosen = _capped(task, candidates, kept, config.max_rows, seed)
        reasons.update((index, "max_rows") for index in kept if index not in chosen)
    marked = [
        replace(candidate, dropped=reasons[index]) if index in reasons else candidate
        for index, candidate in enumerate(candidates)
    ]
    pairs = [
        Example(candidate.input, candidate.output)
        for index, candidate in enumerate(marked)
        if candidate.dropped is None and candidate.output is not None
        for _ in range(repeats[index])
    ]
    return pairs, marked


def still_in(pairs: Sequence[Example], others: Iterable[Example]) -> tuple[Example, ...]:
    """The pairs that are among `others`, in their order; each of `others` stands for one pair."""
    left, found = Counter(others), []
    for pair in pairs:
        if left[pair] > 0:
            left[pair] -= 1
            found.append(pair)
    return tuple(found)


def marked(
    candidates: Sequence[Candidate], pairs: Iterable[Example], reason: Callable[[Example], str]
) -> tuple[Candidate, ...]:
    """The candidates, those kept so far that are none of `pairs` dropped for the `reason`."""
    left, found = Counter(pairs), []
    for candidate in candidates:
        if candidate.dropped is None and candidate.output is not None:
            pair = Example(candidate.input, candidate.output)
            if left[pair] > 0:
                left[pair] -= 1
            else:
                candidate = replace(candidate, dropped=reason(pair))
        found.append(candidate)
    return tuple(found)


def vanished_labels(task: TaskSpec, pairs: Sequence[Example]) -> tuple[str, ...]:
    """Labels of the task that no training pair has."""
    present = {pair.output for pair in pairs}
    return tuple(label for label in task.labels if label not in present)


def _by_label(candidates: Sequence[Candidate], indices: Sequence[int]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for index in indices:
        groups[str(candidates[index].output)].append(index)
    return dict(sorted(groups.items()))


def _capped(task: TaskSpec, candidates: Sequence[Candidate], kept: list[int], most: int, seed: int) -> set[int]:
    stream = child_random(seed, "max_rows")
    if not task.is_classification:
        return set(stream.sample(kept, most))
    groups = [stream.sample(group, len(group)) for group in _by_label(candidates, kept).values()]
    return set(in_turn(groups)[:most])
