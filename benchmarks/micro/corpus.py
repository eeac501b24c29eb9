"""Packed rows of episodes. Batch `i` is a function of (seed, i): a run resumes without replaying data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.micro.episodes import Episode
from benchmarks.micro.mixture import Mixture
from benchmarks.micro.purposes import draw_episode
from selfguide.core.seeding import child_random

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
STOP_WEIGHT = 0.3
ROW_LENGTHS = (*(192,) * 11, *(384,) * 3, 768)


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids and, for each, its loss weight, its episode's number in the row and its position there."""

    ids: Ints
    weights: Floats
    episodes: Ints
    positions: Ints


def encode_episode(tokenizer: Any, episode: Episode, bos: int, eos: int) -> tuple[list[int], list[float]]:
    """Ids (BOS and EOS included) and weights; a token counts as the span that holds its last character."""
    encoding = tokenizer.encode(episode.text, add_special_tokens=False)
    weights = np.zeros(len(episode.text) + 1, np.float32)
    for span in episode.spans:
        weights[span.start : span.end] = span.weight
    ends = np.array([end - 1 for _, end in encoding.offsets])
    return [bos, *encoding.ids, eos], [0.0, *weights[ends].tolist(), STOP_WEIGHT]


def draw_rows(
    tokenizer: Any, seed: int, index: int, tokens: int, mixture: Mixture, pieces: Sequence[str]
) -> tuple[int, list[list[tuple[Episode, list[int], list[float]]]]]:
    """The row length of batch `index`, and for each row its episodes with ids and weights; the last may overhang."""
    rng = child_random(seed, "batch", index)
    length = rng.choice(ROW_LENGTHS)
    bos, eos = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")
    rows = []
    for _ in range(tokens // length):
        at, row = 0, []
        while at <= length:
            episode = draw_episode(rng, mixture, pieces, longest=length > 256 and rng.random() < 0.7)
            ids, weights = encode_episode(tokenizer, episode, bos, eos)
            row.append((episode, ids, weights))
            at = min(at + len(ids), length + 1)
        rows.append(row)
    return length, rows


def make_batch(tokenizer: Any, seed: int, index: int, tokens: int, mixture: Mixture, pieces: Sequence[str]) -> Batch:
    """Batch number `index`: `tokens` tokens in rows of 192 to 768, every row opening with a fresh episode."""
    length, rows = draw_rows(tokenizer, seed, index, tokens, mixture, pieces)
    shape = (len(rows), length + 1)
    ids, weights = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    episodes, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for place, row in enumerate(rows):
        at = 0
        for number, (_, new_ids, new_weights) in enumerate(row):
            end = min(at + len(new_ids), length + 1)
            ids[place, at:end], weights[place, at:end] = new_ids[: end - at], new_weights[: end - at]
            episodes[place, at:end], positions[place, at:end] = number, np.arange(end - at)
            at = end
    return Batch(ids, weights, episodes, positions)
