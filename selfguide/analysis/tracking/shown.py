"""What a tracker may be told of a run. No gold of a test split leaves through here, and no secret."""

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.forecast import config_key
from selfguide.config.schema import RunConfig
from selfguide.core.masking import masked
from selfguide.store import fingerprint

CANDIDATE_COLUMNS = ("id", "round", "requested label", "input", "output", "share of the samples", "dropped")
PREDICTION_COLUMNS = ("id", "input", "references", "base", "tuned", "base score", "tuned score")


def run_id(config: RunConfig) -> str:
    """The same for every start of the same job: hash of configuration and model, 20 hex digits."""
    from selfguide.models.source import model_identity

    return fingerprint({"config": config_key(config), "model": model_identity(config.model)})


def group_of(config: RunConfig) -> str | None:
    """`tracking.group`, or the name of the sweep's folder; None for a single run."""
    if config.tracking.group is not None:
        return config.tracking.group
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return Path(HydraConfig.get().sweep.dir).name
    return None


def settings_of(config: RunConfig) -> dict[str, Any]:
    """The configuration for a tracker, secrets masked."""
    shown: dict[str, Any] = masked(dataclasses.asdict(config))
    return shown


def scalars(run: RunFolder) -> dict[str, float]:
    """Every figure of the result, by name: `score`, `gain/p`, `seconds/inputs`, …"""
    result = run.result
    figures: dict[str, float] = {}
    for name in ("baseline", "score", "gain") if result["score"] else ():
        figures[name] = result[name]["value"]
        figures |= {f"{name}/{figure}": value for figure, value in result[name].items() if figure != "value"}
    for name, over in result.get("gains", {}).items():
        figures[f"gain over {name}"] = over["value"]
        figures |= {f"gain over {name}/{figure}": value for figure, value in over.items() if figure != "value"}
    figures |= {f"control/{name}": score["value"] for name, score in result["controls"].items()}
    figures |= {f"floor/{name}": value for name, value in result["floors"].items()}
    for name in ("counts", "seconds", "contamination"):
        figures |= {f"{name}/{key}": value for key, value in result[name].items()}
    for side, drops in result["drops"].items():
        figures |= {f"drops/{side}/{reason}": count for reason, count in drops.items()}
    for stage, tokens in result["tokens"].items():
        figures |= {f"tokens/{stage}/{kind}": count for kind, count in tokens.items()}
    return figures


def losses(run: RunFolder) -> Iterator[tuple[str, int, float]]:
    """(stage, step, loss) of all trainings."""
    for stage, rows in run.details["losses"].items():
        for row in rows:
            yield stage, int(row["step"]), float(row["loss"])


def candidate_rows(run: RunFolder, count: int) -> list[tuple[Any, ...]]:
    """A seeded sample of the candidates, in their order: `CANDIDATE_COLUMNS`."""
    indices = range(len(run.candidates))
    chosen = [run.candidates[index] for index in sorted(random.Random(0).sample(indices, min(count, len(indices))))]
    return [(c.id, c.round, c.label, c.input, c.output, run.vote_share(c), c.dropped) for c in chosen]


def prediction_rows(run: RunFolder, count: int) -> list[tuple[Any, ...]]:
    """Answers beside the gold, `PREDICTION_COLUMNS`; always empty for a test split."""
    if run.result["split"] != "validation" or not run.config.tracking.predictions:
        return []
    rows = run.predictions[:count]
    names = ("id", "input", "references", "baseline", "tuned", "baseline_score", "tuned_score")
    return [tuple("\n".join(row[n]) if n == "references" else row[n] for n in names) for row in rows]
