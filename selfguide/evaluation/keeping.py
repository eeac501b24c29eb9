"""`store.keep`: which weights of a run stay in the store when the run is over.

A training leaves weights of every epoch, and a method may train on its way (annotator, curation, rounds of a loop);
what answers in the end is a fraction of it. The names of released weights stay known, so that all that they once
answered is found; where the weights themselves are needed again, they are trained again, to the same bytes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from selfguide.evaluation.predict import System
from selfguide.models.session import Session

EVALUATED = ".evaluated"  # in a training's folder: the epochs that any run has evaluated


def release_weights(session: Session, evaluated: Iterable[System]) -> None:
    """Delete what `store.keep` does not keep of the trainings of this run; `evaluated` are its scored systems."""
    keep = session.config.store.keep
    if keep == "all":
        return
    folders = {system.folder for system in evaluated}
    for stage in session.log.stages.values():
        if stage.kind in ("training", "preference", "encoder"):
            kept = _evaluated(stage.path, folders)
            unused = [folder for folder in _weights(stage.path) if folder.name not in kept]
            if keep == "adapters":
                unused = [folder for folder in unused if not (folder / "adapter_config.json").exists()]
            names = [f"{folder.name}/{file.name}" for folder in unused for file in folder.glob("*.safetensors")]
            session.release(stage, names)


def _weights(training: Path) -> Iterator[Path]:
    return (folder for folder in sorted(training.iterdir()) if any(folder.glob("*.safetensors")))


def _evaluated(training: Path, folders: Iterable[Path | None]) -> set[str]:
    """Names of the folders of this training that this run or an earlier one has evaluated; noted for later ones."""
    note = training / EVALUATED
    known = set(note.read_text(encoding="utf-8").split()) if note.exists() else set()
    new = {folder.name for folder in folders if folder is not None and folder.parent == training} - known
    if new:
        with note.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in sorted(new))
    return known | new
