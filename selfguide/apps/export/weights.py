"""The finetuned weights as a folder that transformers, PEFT and vLLM load: the adapter, or merged into the base."""

import json
from pathlib import Path
from typing import Any

from selfguide.analysis.folder import RunFolder
from selfguide.apps.export.cards import base_model, card, is_bundled, is_synthetic, slug
from selfguide.apps.export.folder import copy_regular_files, exported
from selfguide.apps.export.prompt import is_chat, placeholder, rendered, write_prompt
from selfguide.apps.run_folder import finetuned_folder
from selfguide.config.serving import ModelConfig
from selfguide.core.errors import DataError
from selfguide.core.files import write_json, write_text
from selfguide.models.source import weights_folder
from selfguide.tasks.provenance import FILE as PROVENANCE
from selfguide.tasks.provenance import Provenance

BASE = "base"
"""Where the bundled base model goes: no hub has it."""


def export_weights(run: RunFolder, base: ModelConfig, target: Path, form: str, licence: str | None = None) -> Path:
    """Write `adapter/` or `model/` with a card below `target`; `form` is "adapter" or "merged".

    `base` is how the base model is loaded. Raises `DataError` for a run that has no weights, and for a
    target that is no export's. A full finetuning is a whole model already.
    """
    weights = finetuned_folder(run)
    kind = "full" if weights.name == "model" else form
    folder = target / ("adapter" if kind == "adapter" else "model")
    with exported(folder, run.path) as made:
        if kind == "merged":
            _merge(base, weights, made)
        else:
            copy_regular_files(weights, made)
        if kind == "adapter":
            _forget_local_base(run, made / "adapter_config.json")
            if is_bundled(run):
                copy_regular_files(weights_folder(base), made / BASE)
        _save_tokenizer(base, made)
        write_prompt(run, made)
        write_json(made / PROVENANCE, _provenance(run).to_json())
        write_text(made / "README.md", model_card(run, kind, licence))
    return folder


def model_card(run: RunFolder, kind: str, licence: str | None) -> str:
    """The card: scores with intervals, protocol, frozen setting, data, limits, how to load."""
    front: dict[str, Any] = {
        "base_model": base_model(run),
        "library_name": "peft" if kind == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "license": licence,
        "tags": [
            slug(run.description.method),
            *(["synthetic-data"] if is_synthetic(run) else []),
            slug(run.task.name),
            *(["lora"] if kind == "adapter" else []),
        ],
    }
    base = base_model(run) or (BASE if is_bundled(run) else "path/of/the/base/model")
    asked: dict[str, Any] = {"placeholder": placeholder(run), "prompt": rendered(run), "chat": is_chat(run)}
    return card("model_card.md.j2", run, front, kind=kind, base_path=base, **asked, name=slug(run.task.name))


def _provenance(run: RunFolder) -> Provenance:
    content = run.details.get("provenance")
    if content is None and run.result.get("claims_gold", True):
        raise DataError(f"{run.path}: does not say which gold it saw; run the task again, its stages are in the store")
    return Provenance() if content is None else Provenance.from_json(content, str(run.path))


def _forget_local_base(run: RunFolder, file: Path) -> None:
    # Where the base lies on the machine that trained is of no use to anyone else.
    settings = json.loads(file.read_text(encoding="utf-8"))
    hub = base_model(run)
    settings["base_model_name_or_path"] = hub or (BASE if is_bundled(run) else run.result["model"])
    if hub is None:
        settings["revision"] = None
    write_json(file, settings)


def _merge(base: ModelConfig, adapter: Path, target: Path) -> None:
    from peft import PeftModel

    from selfguide.models.loading import load_model

    model = load_model(base, device="cpu", dtype="float32" if base.dtype == "auto" else base.dtype)
    merged = PeftModel.from_pretrained(model, str(adapter)).merge_and_unload()
    merged.save_pretrained(str(target), safe_serialization=True)


def _save_tokenizer(base: ModelConfig, target: Path) -> None:
    from selfguide.models.loading import load_prompt_tokenizer

    load_prompt_tokenizer(base).tokenizer.save_pretrained(str(target))
