"""`tracking=tensorboard`: a folder of events for each job."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.tracking import shown
from selfguide.config.schema import RunConfig
from selfguide.core.files import json_text
from selfguide.core.optional import optional
from selfguide.core.paths import expanded
from selfguide.core.tables import Sheet, to_markdown
from selfguide.synthesis.candidates import proposals


class TensorboardTracker:
    """Events under `<tracking.folder>/<group>/<task>-<id>`; a job that ran before is written anew, not twice."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self._config = config
        root = expanded(config.tracking.folder, "tracking.folder") if config.tracking.folder else folder / "tensorboard"
        self.folder = root / (shown.group_of(config) or "") / f"{config.task.name}-{shown.run_id(config)}"

    def start(self) -> None:
        """See `Tracker.start`."""
        optional("tensorboard", "tracking=tensorboard", "tensorboard")

    def finish(self, folder: Path) -> None:
        """See `Tracker.finish`."""
        from torch.utils.tensorboard import SummaryWriter

        run = RunFolder.open(folder)
        # The name of this folder is the job's id: what is in it are this job's own older events.
        if self.folder.exists():
            shutil.rmtree(self.folder)
        count = self._config.tracking.samples
        with SummaryWriter(str(self.folder)) as writer:  # type: ignore[no-untyped-call]
            for name, value in shown.scalars(run).items():
                writer.add_scalar(name, value, 0)  # type: ignore[no-untyped-call]
            for stage, step, loss in shown.losses(run):
                writer.add_scalar(f"training/{stage}", loss, step)  # type: ignore[no-untyped-call]
            shares = [share for c in proposals(run.candidates) if (share := run.vote_share(c)) is not None]
            if shares:
                writer.add_histogram("share of the samples", _array(shares), 0)  # type: ignore[no-untyped-call]
            texts = {
                "configuration": _code(shown.settings_of(self._config)),
                "candidates": _table(shown.CANDIDATE_COLUMNS, shown.candidate_rows(run, count)),
                "predictions": _table(shown.PREDICTION_COLUMNS, shown.prediction_rows(run, count)),
            }
            for name, text in texts.items():
                if text:
                    writer.add_text(name, text, 0)  # type: ignore[no-untyped-call]

    def fail(self) -> None:
        """See `Tracker.fail`: nothing was written yet."""


def _array(values: Sequence[float]) -> Any:
    import numpy as np

    return np.array(values)


def _code(value: Any) -> str:
    text = json_text(value, indent=2, ensure_ascii=False)
    return "\n".join(f"    {line}" for line in text.splitlines())


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    # TensorBoard shows Markdown: a model's text must stay in its cell.
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    return to_markdown(Sheet("", columns, cells, len(columns))) if rows else ""
