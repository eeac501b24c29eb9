"""S3's quality study: figures of pairs, and of a real run through the command."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.apps.quality import main, pairs_of, quality
from selfguide.core.console import Terminal
from selfguide.core.errors import DataError
from selfguide.core.paths import RESOURCES
from selfguide.pipeline import run
from tests.composing import run_config
from tests.test_methods import small
from tests.tiny_task import smoke, write_task

MICRO = RESOURCES / "micro" / "model"


def test_figures_of_known_pairs() -> None:
    vectors = {"abc": [1.0, 0.0], "abd": [0.0, 2.0], "xyz": [3.0, 0.0]}
    found = quality([("abc", "abd"), ("abc", "xyz"), ("abc", "abc")], lambda texts: [vectors[text] for text in texts])
    assert (found.pairs, found.copies) == (3, 1)
    assert found.cosine == pytest.approx(2 / 3)
    assert found.edit_distance == pytest.approx((1 + 3 + 0) / 3)
    with pytest.raises(DataError, match="was extrapolated"):
        quality([], lambda texts: [])


def test_the_command_on_a_real_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = write_task(tmp_path, classification=True)
    more = ("method=goldgen", *small("goldgen"), "method.diagnose.match_errors=false")
    overrides = smoke(task, tmp_path / "store", *more)
    run(run_config(*overrides), tmp_path / "run", Terminal(Console(file=io.StringIO())))
    pairs = pairs_of(tmp_path / "run")
    assert pairs
    main([str(tmp_path / "run"), "--encoder", str(MICRO)])
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"] == len(pairs)
    assert -1 <= found["cosine"] <= 1
    assert found["edit_distance"] > 0


def test_a_folder_that_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path)])
    assert stopped.value.code != 0
    assert "candidates.jsonl" in capsys.readouterr().err
