"""The synthetic data as a dataset folder: JSON lines and a card, for `datasets.load_dataset`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.html import flat
from selfguide.apps.export.cards import card, hub_id, is_synthetic, slug, writer_path
from selfguide.apps.export.folder import exported
from selfguide.core.errors import DataError
from selfguide.core.files import write_examples, write_jsonl, write_text

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def export_dataset(run: RunFolder, target: Path, licence: str | None = None) -> Path:
    """Write `train.jsonl` (input, output), `candidates.jsonl` (all proposals) and `README.md` into `target`.

    Raises `DataError` for a run that made no data, and for a target that is no export's.
    """
    if not run.pairs:
        raise DataError(f"{run.path}: its method made no training pairs (dataset.jsonl is empty or absent)")
    with exported(target, run.path) as made:
        write_examples(made / "train.jsonl", run.pairs)
        names = ["default"]
        if run.candidates:
            write_jsonl(made / "candidates.jsonl", candidate_rows(run))
            names.append("candidates")
        write_text(made / "README.md", dataset_card(run, names, licence))
    return target


def candidate_rows(run: RunFolder) -> Iterator[dict[str, Any]]:
    """One flat row for each proposal, with what became of it."""
    for candidate in run.candidates:
        yield {
            "id": candidate.id,
            "round": candidate.round,
            "input": candidate.input,
            "asked_label": candidate.label or "",
            "output": candidate.output or "",
            "vote_share": -1.0 if (share := run.vote_share(candidate)) is None else share,
            "dropped": candidate.dropped or "",
            "answers": [sample.text for sample in candidate.samples],
        }


def dataset_card(run: RunFolder, names: list[str], licence: str | None) -> str:
    """The card: what it is, how it was made, what was dropped, whose it is, the command that makes it again."""
    files = {"default": "train.jsonl", "candidates": "candidates.jsonl"}
    rows, method = len(run.pairs), run.description.method
    front = {
        "pretty_name": f"Training data for {run.task.name} ({method})",
        "license": licence,
        "task_categories": ["text-classification" if run.task.is_classification else "text-generation"],
        "tags": [*(["synthetic"] if is_synthetic(run) else []), slug(method), slug(run.task.name)],
        "size_categories": [next((name for limit, name in SIZES if rows < limit), "n>1M")],
        "source_datasets": [],
        "base_model": hub_id(writer_path(run)),
        "configs": [
            {"config_name": name, "data_files": [{"split": "train", "path": files[name]}], "default": name == "default"}
            for name in names
        ],
    }
    dropped = {**run.result["drops"]["inputs"], **run.result["drops"]["outputs"]}
    # A knob of a method may hold a path of this machine.
    hidden = ("method.name", "method.kind", "method.initial_data.extra_rows")
    settings = [
        (key, value)
        for key, value in flat({"method": run.details["config"]["method"]})
        if key not in hidden and value not in ("null", "{}")
    ]
    more = {"dropped": dropped, "method_settings": settings, "has_candidates": len(names) > 1}
    return card("dataset_card.md.j2", run, front, **more)
