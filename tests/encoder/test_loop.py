import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.training.encoder.loop import rate, warmup_steps


@given(
    st.integers(1, 300),
    st.floats(0, 0.999),
    st.sampled_from(["linear", "cosine", "constant"]),
)
def test_every_step_moves_and_the_peak_is_reached(total: int, fraction: float, schedule: str) -> None:
    warmup = warmup_steps(fraction, total)
    assert warmup < total
    rates = [rate(step, total, warmup, schedule) for step in range(total)]
    assert all(0 < value <= 1 for value in rates)
    assert rates[warmup] == pytest.approx(1.0)
    assert rates[: warmup + 1] == sorted(rates[: warmup + 1])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_linear_by_hand() -> None:
    # Six steps, two of warmup: thirds up to 1, then quarters down; 0 would be the seventh.
    assert [rate(step, 6, 2, "linear") for step in range(6)] == pytest.approx([1 / 3, 2 / 3, 1, 0.75, 0.5, 0.25])
