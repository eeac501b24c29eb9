"""Several runs at once: one table at the end, one GPU each, and what presets do to a run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hydra_plugins.selfguide_launcher.gpus import GpusLauncher, visible
from selfguide.core.errors import ConfigError
from tests.composing import composed, run_config
from tests.test_cli import ROOT
from tests.tiny_task import smoke, write_task

FEW = ("method=few_shot_icl", "evaluation.limit=2", "extras.tags=[first,try]")


@pytest.mark.slow
def test_a_multirun_on_slots_ends_in_one_table(tmp_path: Path) -> None:
    words = [*smoke(write_task(tmp_path), tmp_path / "store", *FEW), "-m", "seed=0,1,2", "hydra/launcher=gpus"]
    words += ["hydra.launcher.gpus=[5,7]", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    done = subprocess.run(
        [sys.executable, "-m", "selfguide.main", *words], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = done.stdout[done.stdout.index("3 runs in ") :]
    assert [line.split()[:3] for line in table.splitlines()[2:5]] == [
        [f"{n}-color", "few_shot_icl", str(n)] for n in range(3)
    ]
    assert {file.name for file in (tmp_path / "sweep" / ".slots").iterdir()} <= {"0.lock", "1.lock"}
    result = json.loads((tmp_path / "sweep" / "0-color" / "result.json").read_text())
    assert result["tags"] == ["first", "try"]
    assert "· first · try" in (tmp_path / "sweep" / "0-color" / "report.html").read_text()
    log = (tmp_path / "sweep" / "0-color" / "run.log").read_text()
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO    few-shot ICL: ", log, re.MULTILINE)


def test_slots_are_the_gpus_that_may_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert visible() == ["3", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    config = composed(f"hydra.sweep.dir={tmp_path}")
    setup = {"hydra_context": None, "task_function": print, "config": config}
    with pytest.raises(ConfigError, match="this machine shows no GPU"):
        GpusLauncher().setup(**setup)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="jobs_per_gpu: 0 is not allowed"):
        GpusLauncher([0], 0).setup(**setup)  # type: ignore[arg-type]


@pytest.mark.parametrize("preset", ["fast", "overfit", "profile"])
def test_debug_presets_are_small(preset: str) -> None:
    config = run_config(f"debug={preset}")
    assert (config.generation.target, config.evaluation.limit, config.extras.tags) == (8, 4, ["debug"])
    assert config.finetuning.epochs == (30 if preset == "overfit" else 1)
    assert run_config(f"debug={preset}", "generation.target=9").generation.target == 9


def test_a_tracker_is_also_called_a_logger(monkeypatch: pytest.MonkeyPatch) -> None:
    from selfguide.config.overrides import in_order

    assert in_order(["logger=wandb", "logger.mode=offline"]) == ["tracking=wandb", "tracking.mode=offline"]
    assert run_config("tracking=wandb").tracking.mode == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert run_config("tracking=wandb").tracking.mode == "offline"
    assert run_config("tracking=wandb", "tracking.mode=online").tracking.mode == "online"
