"""How requests are cut into batches and what fits a context, at the limits."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.core.errors import ConfigError, PromptTooLongError, RequestError
from selfguide.models.base import Debias, Request, Sampling, ScoreRequest, room
from selfguide.models.batching import SHARED_PREFIX_MINIMUM, Job, common_prefix, halve, plan
from selfguide.models.limits import check_score, new_tokens, require_room
from selfguide.models.loading import load_prompt_tokenizer
from tests.composing import run_config

SHARED = tuple(range(SHARED_PREFIX_MINIMUM))
TOKENIZER = load_prompt_tokenizer(run_config("task=sni", "task.id=task1").model)


def job(index: int, prompt: tuple[int, ...], count: int = 1, limit: int = 5) -> Job:
    return Job(index, Request(prompt, Sampling(limit)), 0, count, limit)


def cached(batch: list[Job], prefix: int) -> int:
    """Positions that the cache of a batch holds."""
    widest = max(len(one.prompt_ids) - prefix + one.limit for one in batch)
    return prefix + sum(one.count for one in batch) * widest


def test_a_shared_prefix_leaves_a_token_of_every_prompt() -> None:
    assert common_prefix([]) == common_prefix([(*SHARED, 1)]) == 0, "of one prompt nothing is shared"
    assert common_prefix([(*SHARED, 1), (*SHARED, 2)]) == len(SHARED)
    assert common_prefix([(*SHARED, 1), (*SHARED, 1, 2), (*SHARED, 1, 3)]) == len(SHARED)
    assert common_prefix([SHARED, (*SHARED, 2)]) == 0, "one token less is not worth a pass of its own"
    assert common_prefix([(0, *SHARED), (1, *SHARED)]) == 0
    assert common_prefix([(*SHARED, 7, 8, 1), (*SHARED, 7, 8, 2), (*SHARED, 7, 9, 3)]) == len(SHARED) + 1


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3), st.integers(1, 6)), max_size=12),
    st.integers(1, 60),
    st.booleans(),
)
def test_batches_hold_what_fits_and_no_less(rows: list[tuple[int, int, int]], bound: int, shared: bool) -> None:
    prompts = [(*(SHARED if shared else ()), *range(100 + 9 * i, 100 + 9 * i + n)) for i, (n, _, _) in enumerate(rows)]
    jobs = [job(i, prompt, *row[1:]) for i, (prompt, row) in enumerate(zip(prompts, rows, strict=True))]
    batches = plan(jobs, bound)
    flat = [one for batch in batches for one in batch]
    assert sorted(flat, key=lambda one: one.index) == jobs and all(batches)
    assert [len(one.prompt_ids) for one in flat] == sorted((len(p) for p in prompts), reverse=True)
    prefix = common_prefix(prompts)
    assert all(len(batch) == 1 or cached(batch, prefix) <= bound for batch in batches)
    for batch, after in itertools.pairwise(batches):
        assert cached([*batch, after[0]], prefix) > bound, "the next would have fitted"


def test_a_batch_is_halved_down_to_a_sample() -> None:
    three = [job(number, (number,)) for number in range(3)]
    assert halve(three) == (three[:1], three[1:])
    five = job(0, (1,), count=5)
    halves = halve([five])
    assert halves is not None
    assert [(one.first, one.count) for [one] in halves] == [(0, 2), (2, 3)]
    again = halve(halves[1])
    assert again is not None and [(one.first, one.count) for [one] in again] == [(2, 1), (3, 2)]
    assert halve([job(0, (1,))]) is None


def test_what_is_left_of_a_context() -> None:
    request = Request((1, 2, 3), Sampling(9))
    assert require_room(request, 7, 10) == 7
    with pytest.raises(PromptTooLongError, match="a prompt of 3 tokens leaves no room for 8 new in the context of 10"):
        require_room(request, 8, 10)
    with pytest.raises(RequestError, match="an empty prompt"):
        require_room(Request((), Sampling(9)), 1, 10)
    assert [new_tokens(request, TOKENIZER, context) for context in (4, 11, 12, 13)] == [1, 8, 9, 9]
    with pytest.raises(ConfigError, match="debias"):
        new_tokens(Request((1,), Sampling(9, debias=Debias(1.0, 0.1))), TOKENIZER, 10)
    assert [room(10, 3, wanted) for wanted in (6, 7, 8)] == [6, 7, 7]


def test_choices_need_room_for_the_longest() -> None:
    request = Request((1, 2, 3), Sampling(1, choices=("yes", "not at all")))
    needed = max(len(TOKENIZER.encode_answer(choice)) for choice in request.sampling.choices)
    assert new_tokens(request, TOKENIZER, 3 + needed) == needed
    assert new_tokens(request, TOKENIZER, 1000) == len("not at all") + 2
    with pytest.raises(PromptTooLongError):
        new_tokens(request, TOKENIZER, 2 + needed)


def test_a_text_is_scored_if_it_fits() -> None:
    check_score(ScoreRequest((1, 2), (3, 4)), 4)
    with pytest.raises(PromptTooLongError, match="prompt and completion of 4 tokens do not fit the context of 3"):
        check_score(ScoreRequest((1, 2), (3, 4)), 3)
    with pytest.raises(RequestError):
        check_score(ScoreRequest((), (3,)), 3)
