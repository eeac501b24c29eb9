"""Packed rows of episodes. Batch `i` is a function of (seed, i): a run resumes without replaying data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from selfguide.micro.episodes import Episode, draw_episode
from selfguide.micro.mixture import Mixture
from selfguide.seeding import child_random

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


def make_batch(tokenizer: Any, seed: int, index: int, tokens: int, mixture: Mixture, pieces: Sequence[str]) -> Batch:
    """Batch number `index`: `tokens` tokens in rows of 192 to 768, every row opening with a fresh episode."""
    rng = child_random(seed, "batch", index)
    length = rng.choice(ROW_LENGTHS)
    rows = tokens // length
    shape = (rows, length + 1)
    ids, weights = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
    episodes, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    bos, eos = tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")
    for row in range(rows):
        at, number = 0, 0
        while at <= length:
            episode = draw_episode(rng, mixture, pieces, longest=length > 256 and rng.random() < 0.7)
            new_ids, new_weights = encode_episode(tokenizer, episode, bos, eos)
            end = min(at + len(new_ids), length + 1)
            ids[row, at:end], weights[row, at:end] = new_ids[: end - at], new_weights[: end - at]
            episodes[row, at:end], positions[row, at:end] = number, np.arange(end - at)
            at, number = end, number + 1
    return Batch(ids, weights, episodes, positions)
