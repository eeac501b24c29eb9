"""The report tells the label that an input was written for from the samples that vote."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfguide.analysis.autopsy import agreement
from selfguide.analysis.folder import RunFolder
from selfguide.analysis.html import write_report
from selfguide.synthesis.vote import elect
from tests.analysis.folders import write_run


def page_of(folder: Path) -> tuple[str, dict[str, Any]]:
    page = (folder / "report.html").read_text()
    return page, json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose votes are held again with 20 votes for the label that was asked for."""
    weight = "annotation.conditioning_label_weight=20"
    run = RunFolder.open(write_run(tmp_path_factory.mktemp("truth") / "run", weight, proposals=120, instances=10))
    config = run.config
    proposed = [replace(c, dropped=None) for c in run.candidates if c.samples]
    elected = elect(run.task, proposed, config.annotation, config.filters)
    (run.path / "candidates.jsonl").write_text("".join(json.dumps(c.to_row()) + "\n" for c in elected))
    write_report(run.path)
    return RunFolder.open(run.path)


def test_the_label_asked_for_is_told_to_decide(weighted: RunFolder) -> None:
    page, _ = page_of(weighted.path)
    assert "never trained on" not in page
    assert "counts as 20 votes beside 10 samples: if any sample passed the filters, this label is the output" in page
    without = [c for c in weighted.candidates if all(sample.answer != c.output for sample in c.samples)]
    figures = agreement(weighted)
    assert figures is not None
    assert (figures["same"], figures["alone"]) == (figures["voted"], len(without))
    if without:
        assert f"{len(without)} of the {figures['trained']} that were trained on have no sample that agrees" in page


def test_shares_of_the_rows_count_samples_alone(weighted: RunFolder) -> None:
    _, data = page_of(weighted.path)
    assert len(data["candidates"]) == len(weighted.candidates)
    for row, candidate in zip(data["candidates"], weighted.candidates, strict=True):
        agree = sum(sample.answer == candidate.output for sample in candidate.samples)
        assert row["v"] == agree / 10
        assert candidate.share == pytest.approx((agree + 20) / 30)
        assert row["w"] == 20


def test_without_a_weight_the_samples_alone_decide(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", proposals=60, instances=10)
    page, data = page_of(folder)
    assert "has no vote: the samples alone decide" in page
    assert {row["w"] for row in data["candidates"]} == {0}
    assert all(
        row["v"] == c.share for row, c in zip(data["candidates"], RunFolder.open(folder).candidates, strict=True)
    )
