"""One token by temperature, top-k and top-p, against the definitions written out."""

import itertools
import math

import pytest
import torch

from selfguide.models.base import Sampling
from selfguide.models.sampling import ChoiceTrie, choose, uniforms

LOGITS = torch.tensor([0.3, 2.0, -1.0, 1.5, 0.0, 1.4])
GRID = torch.linspace(0, 1, 401)[:-1]


def drawn(sampling: Sampling, logits: torch.Tensor = LOGITS, allowed: list[int] | None = None) -> list[int]:
    """The token at each point of the grid."""
    rows = logits.repeat(len(GRID), 1)
    tokens, _ = choose(rows, GRID, sampling, None if allowed is None else [allowed] * len(GRID))
    return [int(token) for token in tokens]


def kept(sampling: Sampling, logits: torch.Tensor = LOGITS) -> dict[int, float]:
    """Probabilities after temperature, top-k and top-p, by the book."""
    order = sorted(range(len(logits)), key=lambda token: -float(logits[token]))
    order = order[: sampling.top_k] if sampling.top_k else order
    weights = {token: math.exp(float(logits[token]) / sampling.temperature) for token in order}
    total, before, found = sum(weights.values()), 0.0, {}
    for token in order:
        if before < sampling.top_p:
            found[token] = weights[token] / total
        before += weights[token] / total
    return {token: value / sum(found.values()) for token, value in found.items()}


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), list(itertools.product((0.5, 1.0, 2.0), (0, 1, 3, 6), (1.0, 0.3, 0.75)))
)
def test_shares_are_those_of_the_definition(temperature: float, top_k: int, top_p: float) -> None:
    sampling = Sampling(1, temperature, top_k, top_p)
    tokens, expected = drawn(sampling), kept(sampling)
    assert set(tokens) <= set(expected)
    for token, share in expected.items():
        assert tokens.count(token) / len(tokens) == pytest.approx(share, abs=0.006)


def test_a_token_behind_exactly_top_p_is_left_out() -> None:
    """Of two equal tokens and one below, the first two have a share that floating point holds exactly."""
    logits = torch.tensor([0.0, 0.0, -math.inf, -math.inf])
    assert set(drawn(Sampling(1, 1.0, 0, 0.5), logits)) == {0, 1}, "equal ones come and go together"
    probabilities = torch.softmax(torch.tensor([2.0, 1.0, 0.0]).double(), 0)
    for count in (1, 2):
        before = probabilities.cumsum(0) - probabilities
        exactly = Sampling(1, 1.0, 0, float(before[count]))
        assert set(drawn(exactly, torch.tensor([2.0, 1.0, 0.0]))) == set(range(count))


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_the_log_probability_is_the_models_own_whatever_was_allowed(temperature: float) -> None:
    rows = LOGITS.repeat(50, 1)
    tokens, logprobs = choose(rows, torch.linspace(0, 0.99, 50), Sampling(1, temperature, 2, 0.9), [[2, 4]] * 50)
    assert set(tokens.tolist()) <= {2, 4}
    assert logprobs.tolist() == pytest.approx(torch.log_softmax(rows, -1)[range(50), tokens].tolist())


def test_greedy_takes_the_largest_that_is_allowed() -> None:
    assert set(drawn(Sampling(1))) == {1}
    assert set(drawn(Sampling(1), allowed=[0, 2, 5])) == {5}


def test_uniforms_are_of_seed_and_sample_and_begin_alike() -> None:
    first = uniforms(1, 0, 8)
    assert uniforms(1, 0, 3).tolist() == first[:3].tolist()
    others = [uniforms(seed, sample, 8) for seed, sample in ((1, 1), (2, 0), (0, 1), (2**63, 0))]
    assert len({tuple(values) for values in (first, *others)}) == 5
    many = uniforms(3, 4, 4000)
    assert many.min() >= 0 and many.max() < 1 and many.mean() == pytest.approx(0.5, abs=0.02)


def test_choices_branch_where_they_differ() -> None:
    trie = ChoiceTrie([(5, 2, 1), (5, 3, 1), (4, 1)])
    assert trie.longest == 3
    assert [trie.allowed(before) for before in ((), (5,), (4,), (5, 3))] == [[4, 5], [2, 3], [1], [1]]
