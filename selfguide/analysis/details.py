"""`details.json`: what report, chat and export need of a run beyond its result.

Written beside `result.json`, so a run folder explains itself without store, task files or network.
"""

import dataclasses
import datetime
import os
import platform
import resource
import shlex
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfguide.analysis.forecast import find_forecast
from selfguide.config.builtin import ENGINES, METHODS
from selfguide.config.methods import kind_of_recipe
from selfguide.config.schema import RunConfig, TeacherConfig
from selfguide.config.trust import literal
from selfguide.core import child
from selfguide.core.files import read_jsonl, write_json
from selfguide.core.masking import masked
from selfguide.models.devices import cards

if TYPE_CHECKING:
    from selfguide.analysis.result import RunRecord
    from selfguide.store import StoredStage

FILE = "details.json"


def save_details(record: "RunRecord", folder: Path) -> None:
    """Write `details.json`. No gold is in it, but for words that synthetic and evaluation inputs share."""
    config, task = record.config, record.task
    content = {
        "task": dataclasses.asdict(task),
        "config": dataclasses.asdict(config),
        "command": command_line(),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "losses": {name: losses for name, stage in record.stages.items() if (losses := stage_losses(stage))},
        "stages": {name: dict(stage.info) for name, stage in record.stages.items()},
        "overlaps": [{"pair": o.index, "kind": o.kind, "matched": o.matched} for o in record.overlaps],
        "provenance": record.gold_use.provenance.to_json(),
        "memory": peak_memory(),
        "machine": machine(),
        "forecast": find_forecast(config),
    }
    write_json(folder / FILE, masked(content))


def stage_losses(stage: "StoredStage") -> list[dict[str, float]]:
    """The loss of each training step, `[]` for a stage that trains nothing."""
    file = stage.path / "losses.jsonl"
    if not file.exists():
        return []
    return [{"step": row["step"], "loss": row["loss"]} for row in read_jsonl(file)]


def command_line(command: str = "selfguide run") -> str | None:
    """The command that does this again; None outside a Hydra job."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return None
    return " ".join([command, *map(shlex.quote, HydraConfig.get().overrides.task)])


def peak_memory() -> dict[str, int]:
    """Bytes: the most that this process or a child of it held so far, on the host and on the GPU."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        peak["device"] = int(torch.cuda.max_memory_reserved())
    return {name: max(peak.get(name, 0), child.peaks.get(name, 0)) for name in peak | child.peaks}


def machine() -> dict[str, str | int]:
    """What the run ran on, without names of hosts or users."""
    found: dict[str, str | int] = {
        "cpu": platform.machine(),
        "cpus": os.cpu_count() or 0,
        "python": platform.python_version(),
    }
    if found_cards := cards():
        found["gpu"] = found_cards[0].name
    return found


def config_of(content: dict[str, Any]) -> RunConfig:
    """The typed configuration of a run from its `details.json`, for another command to use.

    A knob that is gone is left out, one that is new has its default: a run stays usable by a later version.
    Text is taken as it is: `${oc.env:…}` in the file reads no variable.
    """
    from omegaconf import OmegaConf

    saved = literal(content["config"])
    saved["method"] = {"kind": kind_of_recipe(saved["method"]["name"]), **saved["method"]}
    base = OmegaConf.structured(RunConfig)
    engine = ENGINES.schema_of(saved["engine"]["name"])
    base.engine = OmegaConf.structured(engine)
    method = METHODS.schema_of(saved["method"]["kind"])
    base.method = OmegaConf.structured(method)
    known = _known(saved, RunConfig)
    # Their own knobs are those of their classes, not of the group's.
    known["engine"] = _known(saved["engine"], engine)
    known["method"] = _known(saved["method"], method)
    own = (saved.get("teacher") or {}).get("engine")
    if own is not None:
        base.teacher = OmegaConf.structured(TeacherConfig)
        base.teacher.engine = OmegaConf.structured(ENGINES.schema_of(own["name"]))
        known["teacher"]["engine"] = _known(own, ENGINES.schema_of(own["name"]))
    merged = OmegaConf.merge(base, known)
    missing = OmegaConf.missing_keys(merged)
    if missing:
        defaults = _defaults(saved["engine"]["name"], saved["method"])
        for key in missing:
            OmegaConf.update(merged, key, OmegaConf.select(defaults, key))
    config = OmegaConf.to_object(merged)
    assert isinstance(config, RunConfig)
    return config


def _known(saved: dict[str, Any], kind: type[Any]) -> dict[str, Any]:
    """`saved` without keys that the schema `kind` no longer has."""
    hints = typing.get_type_hints(kind)
    kept = {}
    for key, value in saved.items():
        if key in hints and key != "_target_":  # what a run folder names is not imported
            # A group is a dataclass, or one that may be absent.
            inner = next((t for t in (hints[key], *typing.get_args(hints[key])) if dataclasses.is_dataclass(t)), None)
            kept[key] = _known(value, inner) if isinstance(inner, type) and isinstance(value, dict) else value
    return kept


def _defaults(engine: str, method: dict[str, Any]) -> Any:
    from selfguide.config.composing import composed, own_hydra
    from selfguide.core.paths import config_dir

    shipped = (config_dir() / "method" / f"{method['name']}.yaml").is_file()
    recipe = method["name"] if shipped else method["kind"]
    with own_hydra():
        return composed([f"engine={engine}", f"method={recipe}"])
