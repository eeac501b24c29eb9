"""selfguide from Python: `selfguide.run(...)` and its neighbours, for a notebook and for a product.

Everything that the commands do, by the same code. Hydra's state is as it was after each call, so a process may
have a Hydra of its own. A mistake raises a `selfguide.core.errors.SelfguideError` with the line a command prints.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

from omegaconf import DictConfig

from selfguide.apps.given import Given, overrides_of
from selfguide.config.composing import composed, own_hydra
from selfguide.config.schema import RunConfig
from selfguide.config.validate import typed

if TYPE_CHECKING:
    import pandas

    from selfguide.apps.lint.checks import Finding
    from selfguide.apps.result import Result


class Sweep(NamedTuple):
    """What a sweep left: the winner's value (None where no setting is admissible), and the folder with its page."""

    value: float | None
    folder: Path


def compose(task: Any = None, **given: Unpack[Given]) -> RunConfig:
    """The checked configuration of `run` with the same arguments; nothing is run."""
    return _composed(overrides_of(task, given), "config")


def run(task: Any = None, **given: Unpack[Given]) -> "Result":
    """Make data for a task, finetune on it, and measure what was gained where there are instances.

    `task` is a preset (`"task1516"`), the name of a hub data set, a file (.json, .jsonl, .csv, .tsv), a folder with
    one text file an instance below folders named after the outputs, a dict as in a task file, or the instances as a
    DataFrame, a `datasets.Dataset` or rows; the other arguments are those of `Given`. The files are in
    `runs/<task>/<time>/`, or where `hydra.run.dir=…` among the overrides says.
    """
    overrides = overrides_of(task, given)
    with own_hydra():
        config = composed(overrides, hydra=True)
        folder = Path(config.hydra.run.dir)
        from hydra.core.hydra_config import HydraConfig

        HydraConfig.instance().set_config(config)
        from selfguide.apps.callbacks import called_back
        from selfguide.apps.result import Result
        from selfguide.main import run_composed

        with called_back(config, folder):
            run_composed(_without_hydra(config), overrides, folder)
    return Result(folder)


def lint(task: Any = None, **given: Unpack[Given]) -> "list[Finding]":
    """What would spoil a result, before a model is asked; warnings first."""
    config = _composed(overrides_of(task, given), "lint")
    from selfguide.apps.lint.command import findings

    return findings(config)[2]


def forecast(task: Any = None, **given: Unpack[Given]) -> dict[str, Any]:
    """What `run` would take, from one small round: `quantities` by name, each with `value`, `low` and `high`.

    Kept where the run finds it: its report then shows the forecast beside the facts.
    """
    config = _composed(overrides_of(task, given), "plan")
    from selfguide.apps.plan.command import forecast_of

    return forecast_of(config).predicted


def compare(runs: "Sequence[Result | Path | str]", to: Path | str | None = None) -> "pandas.DataFrame":
    """Runs side by side: scores from 0 to 1, gains, tests. With `to`, pages and tables are written there, too."""
    import pandas

    from selfguide.analysis.compare import find_runs
    from selfguide.analysis.comparison import comma_separated, write_comparison
    from selfguide.analysis.comparison import compare as compared

    found = find_runs([_folder(run) for run in runs])
    if to is not None:
        write_comparison(found, Path(to))
    return pandas.read_csv(io.StringIO(comma_separated(compared(found))))


def export(run: "Result | Path | str", to: Path | str, overrides: Sequence[str] = ()) -> dict[str, Path]:
    """Dataset and weights of a run as folders that others can load, by kind; `overrides` as in `conf/export.yaml`."""
    from selfguide.apps.export.command import export_run
    from selfguide.config.commands import ExportConfig, typed_command

    with own_hydra():
        config = composed(overrides, "export")
        config.run, config.to = str(_folder(run)), str(to)
        return export_run(typed_command(config, ExportConfig))


def table(name: str, overrides: Sequence[str] = ()) -> "pandas.DataFrame":
    """Run what is missing of a table of `conf/table/`, write it, and return its figures.

    A run that fails is a row with a reason; `overrides` are those of `conf/table.yaml`.
    """
    import pandas

    from selfguide.apps.table.command import run_table

    with own_hydra():
        made = run_table(composed([f"+table={name}", *overrides], "table"), overrides)
    return pandas.read_csv(made.folder / "table.csv")


def sweep(name: str, overrides: Sequence[str] = ()) -> Sweep:
    """Search one setting that serves several tasks, as `conf/sweep/` says, and freeze it. Goes on where it stopped."""
    from hydra.core.global_hydra import GlobalHydra

    from selfguide.main import job

    quiet = ("hydra/job_logging=none", "hydra/hydra_logging=none")
    searched = [f"+sweep={name}", *overrides]
    with own_hydra():
        folder = Path(composed(searched, multirun=True).hydra.sweep.dir)
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        value = hydra.multirun(
            "config",
            job.on_config,  # type: ignore[attr-defined]
            [*searched, *quiet],
            with_log_configuration=False,
        )
    return Sweep(value, folder)


def _composed(overrides: Sequence[str], name: str) -> RunConfig:
    from selfguide.search.freeze import with_lock

    with own_hydra():
        return typed(with_lock(composed(overrides, name), overrides))


def _folder(run: "Result | Path | str") -> Path:
    return Path(run) if isinstance(run, str | Path) else run.folder


def _without_hydra(config: DictConfig) -> DictConfig:
    from omegaconf import open_dict

    plain = config.copy()
    with open_dict(plain):
        del plain["hydra"]
    return plain
