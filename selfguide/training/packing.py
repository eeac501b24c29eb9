"""Training rows as one sequence in which a common beginning stands once (`finetuning.packing=prefix`).

The rows form a tree of tokens, written depth first: what continues a token follows it without a gap. One number a
token, where its descendants end, is therefore the whole attention mask. Rows that share nothing stand side by side.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from selfguide.config.schema import FinetuningConfig
from selfguide.training.rows import TrainingRow


@dataclass(slots=True)
class Pack:
    """Rows in one sequence of n tokens: token i sees token j if j <= i < ends[j].

    `sources[k]` is the index of the token after which `targets[k]`, an answer's token, is predicted.
    """

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    sources: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)


def pack(rows: Sequence[TrainingRow]) -> Pack:
    """The rows as one sequence; `sources` and `targets` in the order of `rows`."""
    packed = Pack()
    before: tuple[int, ...] = ()
    path: list[int] = []
    sources: dict[int, list[int]] = {}
    for number, tokens in sorted(enumerate(map(_tokens, rows)), key=lambda row: row[1]):
        shared = _common(before, tokens)
        path = [*path[:shared], *range(len(packed.ids), len(packed.ids) + len(tokens) - shared)]
        packed.ids += tokens[shared:]
        packed.positions += range(shared, len(tokens))
        packed.ends += [0] * (len(tokens) - shared)
        for index in path:
            packed.ends[index] = len(packed.ids)
        start = len(rows[number].prompt_ids) - 1
        sources[number] = path[start : start + len(rows[number].answer_ids)]
        before = tokens
    for number, row in enumerate(rows):
        packed.sources += sources[number]
        packed.targets += row.answer_ids
    return packed


def packed_tokens(rows: Sequence[TrainingRow]) -> int:
    """How many tokens the rows are as one sequence."""
    total = 0
    before: tuple[int, ...] = ()
    for tokens in sorted(map(_tokens, rows)):
        total += len(tokens) - _common(before, tokens)
        before = tokens
    return total


def grouped(order: Sequence[int], rows: Sequence[TrainingRow], batch: int, generator: Random) -> list[int]:
    """A drawn order of rows, changed so that most batches hold rows of one `TrainingRow.group` only.

    Rows of a group are drawn together, cut into batches, and the batches are drawn anew; the last, shorter one stays.
    """
    first: dict[int, int] = {}
    for index in order:
        first.setdefault(rows[index].group, len(first))
    if len(first) < 2:
        return list(order)
    together = sorted(order, key=lambda index: first[rows[index].group])
    batches = [together[start : start + batch] for start in range(0, len(together), batch)]
    short = [batches.pop()] if len(batches[-1]) < batch else []
    generator.shuffle(batches)
    return [index for part in (*batches, *short) for index in part]


def rows_per_pass(rows: Sequence[TrainingRow], batch: int, tokens: int) -> int:
    """Rows per forward pass: the largest divisor of `batch` of which no pass is longer than `tokens`; at least 1."""
    together = sorted(rows, key=lambda row: row.group)
    sizes = [size for size in range(batch, 1, -1) if batch % size == 0]
    return next((size for size in sizes if max(map(packed_tokens, _chunks(together, size))) <= tokens), 1)


def tokens_per_pass(settings: FinetuningConfig) -> int:
    """What a forward pass may hold: as many tokens as the rows of a plain one, each as long as is allowed."""
    return settings.micro_batch_size * settings.max_length


def tokens_per_step(rows: Sequence[TrainingRow], settings: FinetuningConfig, batch: int, packed: bool) -> float:
    """Mean tokens that go through the model for `batch` rows like these, all of one order of the demonstrations."""
    mean = sum(map(len, rows)) / len(rows)
    if not packed:
        return batch * mean
    ordered = sorted(map(_tokens, rows))
    shared = min(_common(ordered[0], ordered[-1]), min(len(row.prompt_ids) for row in rows) - 1)
    own = mean - 1 - shared
    passes = math.ceil(batch * own / max(tokens_per_pass(settings) - shared, own))
    return passes * shared + batch * own


def _chunks(rows: Sequence[TrainingRow], size: int) -> Iterator[Sequence[TrainingRow]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _tokens(row: TrainingRow) -> tuple[int, ...]:
    """What a row puts into the sequence: after the last token of its answer nothing is predicted."""
    return (*row.prompt_ids, *row.answer_ids[:-1])


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common beginning."""
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
