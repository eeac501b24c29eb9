"""A table on a Ray cluster of logical GPUs: small, with a worker and the command killed."""

from pathlib import Path

import pytest

from benchmarks.cluster import Table, killed, report


@pytest.mark.slow
def test_a_killed_worker_and_a_killed_command_lose_no_finished_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray", reason="needs Ray")
    monkeypatch.chdir(Path(__file__).parents[2])
    table = Table(
        tmp_path, 4, 2, rows=("few_shot_icl", "selfguide"), tasks=("micro_barn_or_garage", "micro_color_word")
    )
    assert killed(table) == 0
    said = capsys.readouterr().out
    assert "a worker killed after" in said and "0 of them lost or made again" in said
    assert len(list(tmp_path.glob("runs/*/*/result.json"))) == table.cells == 4
    jobs = [line for line in table.lines() if "end" in line]
    assert len(jobs) >= 4 and max(line["engines"] for line in jobs) == 1, "an engine is kept from job to job"


def test_the_trace_counts_what_is_waited_for_as_idle() -> None:
    lines = [
        {"pid": 1, "start": 0.0}, {"pid": 1, "end": 50.0, "engines": 1, "waits": []},
        {"pid": 2, "start": 0.0}, {"pid": 1, "start": 50.0},
        {"pid": 1, "end": 100.0, "engines": 1, "waits": []},
        {"pid": 2, "end": 80.0, "engines": 1, "waits": [[0.0, 20.0]]},
    ]  # fmt: skip
    first, second, figures = report(lines, 2)
    assert first.startswith("█" * 100 + " 2 jobs, 1 engine(s)")
    assert second.startswith("w" * 20 + "█" * 60 + "·" * 20 + " 1 jobs")
    assert "at work 80.0%, waiting for a stage 10.0%; 2 engines started on 2 slots" in figures
