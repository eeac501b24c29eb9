"""`tally`: one for each campaign, whose counts are printed, and which fails for a defect."""

from collections.abc import Callable, Iterator

import pytest

from tests.campaigns.tally import Tally


@pytest.fixture
def tally(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[str, int], Tally]]:
    """`tally(name, size)`: `size` faults with --campaign-size=1."""
    share, made = float(request.config.getoption("--campaign-size")), list[Tally]()
    first = request.config.getoption("--campaign-first")

    def make(name: str, size: int) -> Tally:
        made.append(Tally(name, max(1, round(size * share)), first))
        return made[-1]

    yield make
    for each in made:
        with capsys.disabled():
            print(f"\n{each}", *(defect[:1000] for defect in each.defects[:10]), sep="\n  ")
        assert each.tried == each.size and not each.defects, str(each)
