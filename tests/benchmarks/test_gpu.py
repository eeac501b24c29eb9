"""`make gpu-check SIZE=tiny`: what of it a CPU can run."""

import json
from pathlib import Path

import pytest

from benchmarks.gpu import checks
from benchmarks.gpu.__main__ import STEPS, main, why_not
from tests import cli


@pytest.mark.slow
@pytest.mark.parametrize("step", ["agree", "jobs", "memory", "killed"])
def test_a_step_on_a_cpu(step: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert why_not(step, "tiny") is None
    report = checks.Report(tmp_path, start=lambda *arguments: cli.start(*arguments, cwd=cli.ROOT))
    getattr(checks, step)(report, "tiny")
    said = capsys.readouterr().out
    assert not report.failed, said
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["outcome"] for line in lines] == ["PASS"] * len(lines) and lines


@pytest.mark.slow
@pytest.mark.vllm
def test_jobs_on_vllm_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = checks.Report(tmp_path, start=lambda *arguments: cli.start(*arguments, cwd=cli.ROOT))
    checks.vllm(report, "tiny")
    assert not report.failed, capsys.readouterr().out


def test_what_a_machine_lacks_is_skipped_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert all(hasattr(checks, step) for step in STEPS)
    assert main(["slurm", "memory", "--size", "1b", "--out", str(tmp_path)]) == 0
    assert "SKIP memory: a CPU runs SIZE=tiny alone" in capsys.readouterr().out
    [first, second] = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert (first["step"], first["outcome"], second["outcome"]) == ("slurm", "SKIP", "SKIP")
    with pytest.raises(SystemExit):
        main(["agre"])
    assert "no such step: agre" in capsys.readouterr().err
