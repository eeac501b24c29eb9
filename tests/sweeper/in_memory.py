"""The whole sweep in this process: real plan, study, race and view; jobs look their result up in a table."""

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf
from optuna.storages import InMemoryStorage

from selfguide.apps.sweep.binding import Binding
from selfguide.apps.sweep.plan import Plan
from selfguide.apps.sweep.running import Sweep
from selfguide.apps.sweep.study import StudyLink
from selfguide.apps.sweep.view import View
from selfguide.apps.workers import Workers
from selfguide.config.sweep import SweepConfig
from selfguide.search.objective import Objective
from selfguide.search.space import read_space
from tests.search.tables import Table

FOLDER = Path(__file__).parent / "app_conf"


class TableLauncher(Launcher):
    """Gives the result of setting `x` after a moment, so that several jobs end in any order."""

    def __init__(self, rows: Table, draw: random.Random) -> None:
        self.rows, self.draw, self.ran = rows, draw, 0

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """Nothing: results are looked up."""

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        (overrides,) = job_overrides
        job = dict(override.split("=", 1) for override in overrides)
        self.ran += 1
        time.sleep(self.draw.random() / 500)
        result = self.rows[int(job["x"])][job["task"], int(job["seed"])]
        return [JobReturn(_return_value=result.to_json(), status=JobStatus.COMPLETED)]


def plan_for(settings: int, tasks: Sequence[str], objective: Objective, folder: Path, **knobs: Any) -> Plan:
    """A plan over `x` = 0 … settings - 1."""
    known: Mapping[str, Any] = OmegaConf.load(FOLDER / "config.yaml").sweep
    changes = {"tasks": list(tasks), "seeds": list(objective.seeds), "objective": objective.kind, **knobs}
    space = read_space({"x": f"choice({','.join(map(str, range(settings)))})"}, [])
    return Plan(
        knobs=SweepConfig(**{**known, **changes}),
        space=space,
        objective=objective,
        final=None,
        folder=folder,
        binding=Binding({"space": dict(space.grammar)}, native=False),
        compose=lambda task, setting: OmegaConf.create(),
        has_seed=True,
        tracked=False,
    )


def run(plan: Plan, rows: Table, count: int, draw: random.Random) -> tuple[StudyLink, int]:
    """Sweep to the end; the study and how many jobs ran."""
    link = StudyLink(plan, InMemoryStorage())
    launcher = TableLauncher(rows, draw)
    workers = Workers(launcher, OmegaConf.create(), count)
    view = View(plan, live=False)
    with link.lease, view:
        Sweep(plan, link, workers, view).run()
    return link, launcher.ran
