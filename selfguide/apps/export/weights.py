"""The finetuned weights as a folder that transformers, PEFT and vLLM load: the adapter, or merged into the base."""

import json
import shutil
from pathlib import Path
from typing import Any

from selfguide.analysis.folder import RunFolder
from selfguide.apps.export.cards import base_model, base_shown, card, fresh, is_bundled, slug
from selfguide.core.errors import DataError
from selfguide.core.files import write_json, write_text


def export_weights(run: RunFolder, target: Path, form: str, licence: str | None = None) -> Path:
    """Write `adapter/` or `model/` with a card below `target`; `form` is "adapter" or "merged".

    Raises `DataError` for a run that has no weights. A full finetuning is a whole model already.
    """
    adapter, whole = run.path / "adapter", run.path / "model"
    if adapter.is_dir() and form == "adapter":
        folder = fresh(target / "adapter")
        shutil.copytree(adapter, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("README.md"))
        _forget_local_base(run, folder / "adapter_config.json")
        kind = "adapter"
    elif adapter.is_dir():
        folder, kind = _merged(run, adapter, target / "model"), "merged"
    elif whole.is_dir():
        folder, kind = fresh(target / "model"), "full"
        shutil.copytree(whole, folder, dirs_exist_ok=True)
        _save_tokenizer(run, folder)
    else:
        raise DataError(f"{run.path}: it has no finetuned weights (adapter/ or model/); weights=none exports the data")
    write_text(folder / "README.md", model_card(run, kind, licence))
    return folder


def model_card(run: RunFolder, kind: str, licence: str | None) -> str:
    """The card: scores with intervals, protocol, lock, data, limits, how to load."""
    front: dict[str, Any] = {
        "base_model": base_model(run),
        "library_name": "peft" if kind == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "license": licence,
        "tags": ["self-guide", "synthetic-data", slug(run.task.name), *(["lora"] if kind == "adapter" else [])],
    }
    shown = {"base": base_shown(run), "hub": base_model(run), "bundled": is_bundled(run)}
    return card("model_card.md.j2", run, front, kind=kind, **shown)


def _forget_local_base(run: RunFolder, file: Path) -> None:
    # Where the base lies on the machine that trained is of no use to anyone else.
    settings = json.loads(file.read_text(encoding="utf-8"))
    hub = base_model(run)
    settings["base_model_name_or_path"] = hub or run.result["model"]
    if hub is None:
        settings["revision"] = None
    write_json(file, settings)


def _merged(run: RunFolder, adapter: Path, target: Path) -> Path:
    from peft import PeftModel

    from selfguide.models.loading import load_model

    config = run.config.model
    model = load_model(config, device="cpu", dtype="float32" if config.dtype == "auto" else config.dtype)
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    merged.save_pretrained(str(fresh(target)), safe_serialization=True)
    _save_tokenizer(run, target)
    return target


def _save_tokenizer(run: RunFolder, target: Path) -> None:
    from selfguide.models.loading import load_prompt_tokenizer

    load_prompt_tokenizer(run.config.model).tokenizer.save_pretrained(str(target))
