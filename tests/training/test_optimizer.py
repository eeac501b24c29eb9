"""Weights in bfloat16 move as those in float32 do, with a float32 copy or with random rounding; without, most stay."""

import pytest
import torch

from selfguide.training.optimizer import RoundedAdamW

STEPS, RATE = 150, 5e-5


def moved(kind: str, dtype: torch.dtype = torch.bfloat16) -> tuple[float, torch.Tensor]:
    """Share of weights that a training at the paper's learning rate leaves as they were, and the movement."""
    torch.manual_seed(0)
    start = (torch.randn(20_000) * 0.02).to(torch.bfloat16)
    signal = torch.randn(20_000)
    weights = start.clone().to(dtype).requires_grad_()
    optimizer: torch.optim.Optimizer
    if kind == "plain":
        optimizer = torch.optim.AdamW([weights], lr=RATE, weight_decay=0.0)
    else:
        optimizer = RoundedAdamW([weights], lr=RATE, copies=kind == "copies")
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        gradient = torch.Generator().manual_seed(step)
        weights.grad = (signal + 5 * torch.randn(20_000, generator=gradient)).to(dtype)
        optimizer.step()
    change = weights.detach().float() - start.float()
    return float((change == 0).float().mean()), change


def test_bfloat16_weights_stay_where_they_are_without_help_and_move_with_it() -> None:
    still, truth = moved("plain", torch.float32)
    assert still < 0.01
    plain, change = moved("plain")
    assert plain > 0.2
    lost = (change - truth).norm() / truth.norm()
    for kind, most in (("copies", 0.15), ("random", 0.25)):
        still, change = moved(kind)
        assert still < most < plain, kind
        assert (change - truth).norm() / truth.norm() < lost / 2, kind


def test_the_float32_copy_is_what_torch_computes_in_float32() -> None:
    truth = moved("plain", torch.float32)[1]
    torch.manual_seed(0)
    start = (torch.randn(20_000) * 0.02).to(torch.bfloat16).float()
    rounded = (start + truth).to(torch.bfloat16).float() - start
    assert (moved("copies")[1] - rounded).abs().mean() < 1e-2 * truth.abs().mean()


def test_random_rounding_is_right_on_average() -> None:
    from selfguide.training.optimizer import _store_at_random

    torch.manual_seed(0)
    value = torch.full((100_000,), 1.0 + 2**-9)  # a quarter of the way to the next number, 1 + 2**-7
    target = torch.empty(100_000, dtype=torch.bfloat16)
    _store_at_random(target, value)
    assert set(target.tolist()) == {1.0, 1.0 + 2**-7}
    assert target.float().mean().item() == pytest.approx(1.0 + 2**-9, abs=1e-4)


@pytest.mark.parametrize("copies", [True, False])
def test_its_state_is_restored_as_it_was(copies: bool) -> None:
    weights = torch.randn(64).to(torch.bfloat16).requires_grad_()
    first = RoundedAdamW([weights], copies=copies)
    weights.grad = torch.randn(64).to(torch.bfloat16)
    first.step()
    second = RoundedAdamW([weights], copies=copies)
    second.load_state_dict(first.state_dict())
    before, after = first.state[weights], second.state[weights]
    assert before.keys() == after.keys()
    for name in before:
        assert before[name].dtype == after[name].dtype and torch.equal(before[name], after[name]), name
