"""The micro benchmark: what its figures say, and that old runs are never shown as new ones."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.micro.benchmark import folder_of, overrides
from benchmarks.micro.benchmark_table import Difference, Run, difference, read_run
from benchmarks.micro.benchmark_tasks import BY_NAME
from selfguide.core.errors import DataError
from tests import cli


def run_of(task: str, seed: int, icl: list[float], tuned: list[float]) -> Run:
    figures = {"icl_hits": tuple(icl), "finetune_hits": tuple(icl), "selfguide_hits": tuple(tuned)}
    return Run(task, "generation", seed, 0, 0, 0, 0, None, None, None, 0, 0, **figures)


def drawn(rng: np.random.Generator, effects: list[float]) -> list[Run]:
    """Three seeds of each task: hits of 0.5 without, 0.5 plus the task's effect with."""
    return [
        run_of(
            str(task),
            seed,
            list(rng.binomial(1, 0.5, 60).astype(float)),
            list(rng.binomial(1, 0.5 + e, 60).astype(float)),
        )
        for task, e in enumerate(effects)
        for seed in range(3)
    ]


def test_an_effect_of_every_task_shows_and_one_of_two_tasks_does_not() -> None:
    rng = np.random.default_rng(0)
    all_tasks = difference(drawn(rng, [0.3] * 9), "selfguide_hits", "icl_hits")
    assert all_tasks.p == pytest.approx(2 / 512) and 20 < all_tasks.low < all_tasks.mean < all_tasks.high < 40
    two_tasks = difference(drawn(rng, [0.45, 0.45, *[0.0] * 7]), "selfguide_hits", "icl_hits")
    assert two_tasks.p > 0.05 and two_tasks.low < 3


def test_tasks_that_differ_by_chance_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(200):
        effects = list(rng.normal(0, 0.15, 8).clip(-0.4, 0.4))
        found += difference(drawn(rng, effects), "selfguide_hits", "icl_hits").p < 0.05
    assert found <= 20, "one in twenty, twice that by chance"


def test_other_overrides_are_another_run(tmp_path: Path) -> None:
    task = BY_NAME["color_word"]
    places = [folder_of(tmp_path, task, seed, extra) for seed in (0, 1) for extra in (["a=1"], ["a=2"], ["a=1", "b=2"])]
    assert len(set(places)) == 6
    assert folder_of(tmp_path, task, 0, ["a=1"]) == places[0]


def test_a_run_without_the_control_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"frozen": False}))
    (tmp_path / "predictions.jsonl").write_text(
        json.dumps({"controls": {}, "baseline_score": 1, "tuned_score": 1}) + "\n"
    )
    with pytest.raises(DataError, match="has no few_shot_finetune beside the score"):
        read_run(BY_NAME["color_word"], 0, tmp_path, tmp_path)


@pytest.mark.slow  # starts a run in an interpreter of its own
def test_the_command(tmp_path: Path) -> None:
    given = ["frozen_config=null", "store.root=store", "debug=fast", "evaluation.controls=true"]
    command = ["--tasks", "color_word", "--seeds", "1", "--limit", "4", "--runs", "runs", "--output", "out"]
    # The run of the method is found finished, the one with an instruction that says nothing is made.
    task, extra = BY_NAME["color_word"], ["evaluation.split=test", "evaluation.limit=4", *given]
    first = folder_of(Path("runs"), task, 0, extra)
    made = cli.run("selfguide.main", *overrides(task, 0, first), *extra, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    before = (tmp_path / first / "result.json").stat().st_mtime_ns
    done = cli.run("benchmarks.micro.benchmark", *command, "--", *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / first / "result.json").stat().st_mtime_ns == before
    assert len(list((tmp_path / "runs").iterdir())) == 2
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| color_word |" in table and "Setting: UNFROZEN." in table and "frozen_config=null" in table
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    gains = [summary[name] for name in ("gain_over_icl", "gain_over_neutral_icl", "gain_over_few_shot_finetune")]
    assert all(set(gain) == set(Difference.__dataclass_fields__) for gain in gains)
    assert [run["neutral"] % 25 for run in summary["runs"]] == [0], "four instances"
