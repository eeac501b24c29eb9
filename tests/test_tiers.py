"""What a tier needs and this machine lacks is a reason to skip, and in CI a failure."""

import pytest

from tests import conftest


def test_a_test_that_names_no_tier_is_a_unit(request: pytest.FixtureRequest) -> None:
    assert [mark.name for mark in request.node.iter_markers()] == ["unit"]


@pytest.mark.parametrize(
    ("ci", "tier", "ends"),
    [
        ("", "browser", pytest.skip.Exception),
        ("true", "browser", pytest.fail.Exception),
        ("1", "vllm", pytest.fail.Exception),
        ("true", "gpu", pytest.skip.Exception),
    ],
)
def test_what_is_missing_is_skipped_and_fails_in_ci(
    ci: str, tier: str, ends: type[BaseException], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(conftest, "missing", {tier: "there is none"}.get)
    conftest.pytest_runtest_setup(request.node)
    request.node.add_marker(tier)
    with pytest.raises(ends, match="there is none"):
        conftest.pytest_runtest_setup(request.node)
