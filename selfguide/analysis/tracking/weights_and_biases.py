"""`tracking=wandb`: a run of Weights & Biases for each job."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.tracking import shown
from selfguide.config.schema import RunConfig
from selfguide.core.errors import ConfigError
from selfguide.core.files import write_json
from selfguide.core.optional import optional
from selfguide.core.paths import expanded
from selfguide.store import fingerprint


class WandbTracker:
    """One W&B run, by the id of the job: started again, it is resumed and not made twice."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self._id = shown.run_id(config)
        self._run: Any = None

    def start(self) -> None:
        """See `Tracker.start`."""
        wandb = _wandb()
        tracking = self._config.tracking
        files = expanded(tracking.folder, "tracking.folder") if tracking.folder else self._folder
        files.mkdir(parents=True, exist_ok=True)
        try:
            self._run = wandb.init(
                id=self._id,
                resume="allow",
                reinit="create_new",  # jobs that take turns in one process each have their own
                project=tracking.project,
                entity=tracking.entity,
                group=shown.group_of(self._config),
                name=f"{self._config.task.name}-{self._config.method.name}-{self._config.seed}",
                job_type=self._config.method.name,
                tags=[*tracking.tags, *self._config.extras.tags],
                mode=tracking.mode,
                dir=str(files),
                config=shown.settings_of(self._config),
                settings=wandb.Settings(
                    # Terminal output shows training rows and paths; metadata has the command line, user and host.
                    console="off",
                    x_disable_meta=True,
                    x_disable_machine_info=True,
                    disable_git=True,
                    disable_job_creation=True,
                    save_code=False,
                    silent=True,
                ),
            )
        except wandb.errors.Error as error:
            first = str(error).strip().splitlines()[0]
            raise ConfigError(f"tracking.kind: wandb: {first} (WANDB_API_KEY, or tracking.mode=offline)") from error

    def finish(self, folder: Path) -> None:
        """See `Tracker.finish`."""
        run = RunFolder.open(folder)
        self._run.summary.update({**shown.scalars(run), "status": run.result["status"]})
        if self._told_before(run):
            self._run.finish()
            return
        self._losses(run)
        self._tables(run)
        self._artifacts(run)
        self._run.finish()
        write_json(self._marker(), {"told": _content(run)})

    def fail(self) -> None:
        """See `Tracker.fail`."""
        if self._run is not None:
            self._run.finish(exit_code=1)

    def _losses(self, run: RunFolder) -> None:
        self._run.define_metric("training/step", hidden=True)
        self._run.define_metric("training/*", step_metric="training/step")
        for stage, step, loss in shown.losses(run):
            self._run.log({f"training/{stage}": loss, "training/step": step})

    def _tables(self, run: RunFolder) -> None:
        count = self._config.tracking.samples
        self._table("candidates", shown.CANDIDATE_COLUMNS, shown.candidate_rows(run, count))
        self._table("predictions", shown.PREDICTION_COLUMNS, shown.prediction_rows(run, count))

    def _table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            wandb = _wandb()
            data = [list(row) for row in rows]
            self._run.log({name: wandb.Table(columns=list(columns), data=data, allow_mixed_types=True)})

    def _artifacts(self, run: RunFolder) -> None:
        tracking, task = self._config.tracking, self._config.task.name
        dataset, adapter = run.path / "dataset.jsonl", run.path / "adapter"
        if tracking.dataset and dataset.exists():
            self._artifact(f"{task}-dataset", "dataset", [dataset, run.path / "candidates.jsonl"])
        if tracking.adapter and adapter.is_dir():
            self._artifact(f"{task}-adapter", "model", sorted(adapter.iterdir()))

    def _artifact(self, name: str, kind: str, files: Sequence[Path]) -> None:
        artifact = _wandb().Artifact(name.replace("/", "-"), kind, metadata={"run": self._id})
        for file in files:
            if file.is_file():
                artifact.add_file(str(file), name=file.name)
        self._run.log_artifact(artifact)

    def _marker(self) -> Path:
        root = expanded(self._config.store.root, "store.root") / "tracking"
        root.mkdir(parents=True, exist_ok=True)
        tracking = self._config.tracking
        account = fingerprint({"entity": tracking.entity, "project": tracking.project, "mode": tracking.mode})[:8]
        return root / f"wandb-{account}-{self._id}.json"

    def _told_before(self, run: RunFolder) -> bool:
        # W&B appends to the history of a resumed run: the same losses a second time would double the curve.
        marker = self._marker()
        return marker.exists() and json.loads(marker.read_text(encoding="utf-8"))["told"] == _content(run)


def _content(run: RunFolder) -> str:
    return fingerprint({"keys": run.result["keys"], "score": run.result["score"]})


def _wandb() -> Any:
    return optional("wandb", "tracking=wandb", "wandb")
