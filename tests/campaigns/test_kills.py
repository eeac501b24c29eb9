"""A run, a training, a table and a sweep, killed at any file operation or moment: run again, they end with the same
bytes."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from selfguide.config.command import Interrupted, was_interrupted
from tests.campaigns.kills import Kill, Killed
from tests.campaigns.scripted import write_preset
from tests.campaigns.tally import Tally
from tests.models.checkpoints import tiny_model
from tests.table.tables import write_table
from tests.tiny_task import smoke, write_task

pytestmark = pytest.mark.slow
SIZES = {"run": 80, "training": 20, "table": 60, "sweep": 60}
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PROMPTING = ("method=few_shot_icl", "data.validation_fraction=0.5", "evaluation.limit=3", "evaluation.bootstrap=100")


def a_run(folder: Path, conf: Path, *more: str) -> Killed:
    files = ("dataset.jsonl", "candidates.jsonl", "predictions.jsonl", "adapter/*.safetensors")
    overrides = smoke(write_task(conf), folder / "store", f"hydra.run.dir={folder}/run", *more)
    return Killed(folder, ("selfguide.main", *overrides), tuple(f"run/{name}" for name in files))


def a_training(folder: Path, conf: Path) -> Killed:
    model = conf / "model"
    if not model.exists():
        tiny_model(model, max_position_embeddings=1024)
    return a_run(
        folder, conf, f"model.path={model}", "finetuning.save_every_s=0.01", "evaluation.canary=false", *mine(conf)
    )


def a_table(folder: Path, conf: Path) -> Killed:
    rows = {"few_shot_icl": ["method=few_shot_icl"], "selfguide": ["method=selfguide", "finetuning=none"]}
    scripted = ["engine=scripted", f"store.root={folder}/store"]
    write_table(conf.parent, {name: [*row, *scripted] for name, row in rows.items()}, seeds=(0,))
    arguments = ("selfguide.main", "table", "--config-dir", str(conf), "+table=tiny", f"runs={folder}/runs")
    arguments = (*arguments, f"output={folder}/out")
    return Killed(folder, arguments, ("runs/*/*/predictions.jsonl", "runs/*/*/dataset.jsonl"))


def a_sweep(folder: Path, conf: Path) -> Killed:
    tasks = f"json task.path={write_task(conf)} task.name=valid"
    study = ("-m", "+sweep=default", "sweep.name=small", f"sweep.tasks=['{tasks}']", "sweep.sampler=grid")
    overrides = (*study, *PROMPTING, "temperature.input=choice(0.6,0.8)", f"store.root={folder}/store")
    return Killed(folder, ("selfguide.main", *mine(conf), *overrides), ("sweeps/small/lock.yaml",))


def mine(conf: Path) -> tuple[str, ...]:
    return ("--config-dir", str(conf), "engine=scripted")


KILLED: dict[str, Callable[[Path, Path], Killed]] = {
    "run": lambda folder, conf: a_run(folder, conf, "finetuning=none", *mine(conf)),
    "training": a_training,
    "table": a_table,
    "sweep": a_sweep,
}


@pytest.mark.parametrize("name", KILLED)
def test_kills(name: str, tmp_path: Path, tally: Callable[[str, int], Tally]) -> None:
    counts, folder = tally(f"kills of a {name}", SIZES[name]), tmp_path / name
    folder.mkdir()
    killed = KILLED[name](folder, write_preset(tmp_path / "conf"))
    operations, seconds = killed.whole()
    expected = killed.outcome()
    assert expected and operations > 20
    killed.begin_anew()
    for number in counts.numbers:
        stream, signum = random.Random(f"{name} {number}"), SIGNALS[number % len(SIGNALS)]
        while True:
            at_operation = stream.random() < 0.7
            operation = stream.randint(1, operations) if at_operation else 0
            moment = 0.0 if at_operation else stream.uniform(0.01, seconds)
            kill = Kill(folder, tmp_path / "none", signum, operation, moment)
            begun = time.monotonic()
            try:
                if killed.run(kill):
                    counts.healed += signum == signal.SIGKILL
                    counts.refused += signum != signal.SIGKILL
                    break
                assert killed.outcome() == expected, "other bytes"
            except AssertionError as error:
                counts.defects.append(f"{number} {kill}: {error}")
                killed.begin_anew()
                break
            # It ended first: what was finished before shortens the rest.
            seconds = time.monotonic() - begun
            killed.begin_anew()
    killed.whole()
    if killed.outcome() != expected:
        counts.defects[:0] = [f"{name}: other bytes after the last kill"]


@pytest.mark.parametrize("share", [0.4, 0.6, 0.9])
def test_an_interrupt_in_a_job_of_a_sweep_is_reported_by_the_command(share: float, tmp_path: Path) -> None:
    """Not only in the file that keeps what the job says."""
    folder = tmp_path / "sweep"
    folder.mkdir()
    killed = a_sweep(folder, write_preset(tmp_path / "conf"))
    operations, _ = killed.whole()
    killed.begin_anew()
    assert killed.run(Kill(folder, tmp_path / "none", signal.SIGINT, round(share * operations)))


def test_an_error_that_an_interrupt_caused_is_an_interrupt() -> None:
    """As where a library's lock is given back half."""
    try:
        try:
            raise Interrupted
        except BaseException:
            (Path("/nonexistent") / "lock").unlink()
    except OSError as error:
        assert was_interrupted(error) and not was_interrupted(OSError("alone"))
