"""Spans of passages: windows of token ids with the answer's ends in them, and texts back from a model's logits.

As for SQuAD: the question and a window of the passage are a pair of sentences, and windows overlap by `stride` tokens.
A window without the answer points at its first token.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from selfguide.config.students import SpansConfig
from selfguide.core.types import Example
from selfguide.tasks.context import split_context
from selfguide.training.encoder.loop import Row
from selfguide.training.encoder.text import EncodedText

BEST = 20
"""Starts and ends that are tried with each other, as in ZeroGen and SQuAD's own script."""
NOWHERE = (0, 0)


class Reading(NamedTuple):
    """How inputs are read: a task's marker of the passage's end, and the question of a task without one."""

    context_until: str | None
    instruction: str
    max_length: int
    spans: SpansConfig

    def parts(self, text: str) -> tuple[str, str]:
        """Passage and question of an input."""
        parts = split_context(text, self.context_until)
        return (text, self.instruction) if parts is None else (parts.context, parts.target.strip())


class Window(NamedTuple):
    """Token ids of a question and a part of its passage; `offsets` are characters of the passage, None elsewhere."""

    source: int
    text: EncodedText
    offsets: tuple[tuple[int, int] | None, ...]


def windows(tokenizer: Any, texts: Sequence[str], reading: Reading) -> list[Window]:
    """The windows of each input, in order. A question is cut to half of the tokens, so that passage is left."""
    made = []
    for source, text in enumerate(texts):
        passage, question = reading.parts(text)
        room = reading.max_length // 2 - reading.spans.stride // 2
        whole = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        asked = question if len(whole) <= room else question[: whole[max(room, 1) - 1][1]]
        encoded = tokenizer(
            asked,
            passage,
            truncation="only_second",
            max_length=reading.max_length,
            stride=reading.spans.stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
        )
        for index, ids in enumerate(encoded["input_ids"]):
            of = encoded.sequence_ids(index)
            offsets = encoded["offset_mapping"][index]
            row = EncodedText(tuple(ids), tuple(encoded["token_type_ids"][index]), len(encoded["input_ids"]) > 1)
            inside = (tuple(at) if part == 1 else None for at, part in zip(offsets, of, strict=True))
            made.append(Window(source, row, tuple(inside)))
    return made


def has_span(pair: Example, context_until: str | None) -> bool:
    """Whether the answer is a span of the passage."""
    parts = split_context(pair.input, context_until)
    return _place(pair.input if parts is None else parts.context, pair.output) is not None


def span_rows(tokenizer: Any, pairs: Sequence[Example], reading: Reading) -> list[Row]:
    """The windows of each pair with the first place of its answer; none for an answer that the passage has not."""
    places = [_place(reading.parts(pair.input)[0], pair.output) for pair in pairs]
    known = [index for index, place in enumerate(places) if place is not None]
    made = windows(tokenizer, [pairs[index].input for index in known], reading)
    return [Row(window.text, _ends(window, places[known[window.source]])) for window in made]


def answers(model: Any, tokenizer: Any, texts: Sequence[str], reading: Reading, device: str) -> list[str]:
    """The best span of each input over all its windows."""
    from selfguide.training.encoder.predict import by_length
    from selfguide.training.encoder.text import collate

    made = windows(tokenizer, texts, reading)
    best: list[tuple[float, str]] = [(-float("inf"), "")] * len(texts)
    with torch.inference_mode():
        for indices in by_length([window.text for window in made], 32):
            output = model(**collate([made[i].text for i in indices], tokenizer, device))
            for index, start, end in zip(indices, output.start_logits, output.end_logits, strict=True):
                window = made[index]
                passage = reading.parts(texts[window.source])[0]
                found = best_span(start.tolist(), end.tolist(), window, reading.spans.max_answer)
                if found is not None and found[0] > best[window.source][0]:
                    best[window.source] = (found[0], passage[found[1] : found[2]])
    return [text for _, text in best]


def best_span(
    start: Sequence[float], end: Sequence[float], window: Window, max_answer: int
) -> tuple[float, int, int] | None:
    """Score, first and last character of the likeliest span of the passage of at most `max_answer` tokens."""
    inside = [index for index, at in enumerate(window.offsets) if at is not None]
    starts = sorted(inside, key=lambda index: -start[index])[:BEST]
    ends = sorted(inside, key=lambda index: -end[index])[:BEST]
    spans = [(start[i] + end[j], i, j) for i in starts for j in ends if i <= j < i + max_answer]
    if not spans:
        return None
    score, first, last = max(spans, key=lambda span: (span[0], -span[1], -span[2]))
    begin, finish = window.offsets[first], window.offsets[last]
    assert begin is not None and finish is not None
    return score, begin[0], finish[1]


def _place(passage: str, answer: str) -> tuple[int, int] | None:
    """First and last character of the answer, to the letter or with case aside."""
    found = passage.find(answer)
    if found < 0 and len(passage.casefold()) == len(passage):
        found = passage.casefold().find(answer.casefold())
    return None if found < 0 or not answer else (found, found + len(answer))


def _ends(window: Window, place: tuple[int, int] | None) -> tuple[int, int]:
    assert place is not None
    tokens = [i for i, at in enumerate(window.offsets) if at is not None and at[0] < place[1] and at[1] > place[0]]
    offsets = [at for at in window.offsets if at is not None]
    whole = tokens and offsets[0][0] <= place[0] and offsets[-1][1] >= place[1]
    return (tokens[0], tokens[-1]) if whole else NOWHERE
