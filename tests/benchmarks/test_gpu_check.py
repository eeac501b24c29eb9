"""`make gpu-check SIZE=tiny`: all that can run on a CPU is green; the rest says why it did not run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.__main__ import STEPS, main, why_not


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_tiny_is_green(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--size", "tiny", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1700)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert {line["outcome"] for line in lines} <= {"PASS", "SKIP"}
    assert sum(line["outcome"] == "PASS" for line in lines) >= 15
    skipped = {line["step"] for line in lines if line["outcome"] == "SKIP"}
    assert skipped == {step for step in STEPS if why_not(step, "tiny")}


def test_what_a_cpu_cannot_run_is_skipped_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    assert main(["devices", "agree", "--size", "8b", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("SKIP") == 2
    with pytest.raises(SystemExit):
        main(["walk"])
