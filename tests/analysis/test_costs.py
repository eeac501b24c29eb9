"""Costs: sums over a run's stages, and what is unknown stays unknown."""

import json
from pathlib import Path
from typing import Any

from selfguide.analysis.costs import Devices, costs
from selfguide.models.base import TokenCount
from selfguide.pipeline import run
from selfguide.store import Journal, Store, StoredStage, journal_tokens
from tests.composing import run_config
from tests.tiny_task import smoke, write_task


def stage(tmp_path: Path, name: str, info: dict[str, Any]) -> StoredStage:
    return Store(tmp_path).run(name, {"of": name}, lambda work: info)


def test_sums_and_ratio(tmp_path: Path) -> None:
    inputs = stage(tmp_path, "inputs", {"tokens": {"prompt": 700, "generated": 50, "calls": 40}})
    outputs = stage(tmp_path, "outputs", {"tokens": {"prompt": 300, "generated": 150, "calls": 160}})
    dataset = stage(tmp_path, "dataset", {})
    training = stage(tmp_path, "training", {"rows": 9, "steps": 8, "trained_tokens": 60})
    stages = {"inputs": inputs, "outputs": outputs, "dataset": dataset, "training": training, "again": training}
    stages["second"] = second = Store(tmp_path).run(
        "training", {"round": 2}, lambda _: {"steps": 4, "trained_tokens": 30}
    )
    found = costs(stages, 30, Devices(teacher=2, student=8, training=4))
    assert (found.calls, found.prompt_tokens, found.generated_tokens) == (200, 1000, 200)
    assert (found.trained_tokens, found.steps, found.kept) == (90, 12, 30)
    assert found.kept_per_1000_calls == 150
    expected = 2 * (inputs.seconds + outputs.seconds) + 4 * (training.seconds + second.seconds)
    assert abs(found.device_seconds - expected) < 0.002


def test_the_teachers_calls_are_the_unit_and_each_runs_where_it_speaks() -> None:
    def spoke(kind: str, calls: int, seconds: float) -> StoredStage:
        tokens = {"prompt": 10 * calls, "generated": calls, "calls": calls}
        return StoredStage(kind, kind, Path(kind), False, seconds, {"tokens": tokens})

    kinds = {"plan": 5, "proposals": 95, "diagnosis": 40, "scores": 10}
    stages = {kind: spoke(kind, calls, 1.0) for kind, calls in kinds.items()}
    stages["encoder"] = StoredStage("encoder", "e", Path("e"), False, 100.0, {"steps": 9, "trained_tokens": 9})
    stages["asked"] = spoke("predictions", 0, 1000.0)  # by the encoder
    found = costs(stages, 20, Devices(teacher=0, student=3, training=4))
    assert (found.calls, found.teacher_calls, found.student_calls) == (150, 100, 50)
    assert (found.prompt_tokens, found.teacher_prompt_tokens, found.student_prompt_tokens) == (1500, 1000, 500)
    assert (found.teacher_generated_tokens, found.student_generated_tokens) == (100, 50)
    assert found.kept_per_1000_calls == 200
    assert found.device_seconds == 3 * 2 + 100 + 1000


def test_devices_are_those_of_who_speaks() -> None:
    openai = ("teacher=openai", "teacher.model.path=x", "teacher.engine.base_url=http://localhost:1/v1")
    openai += ("annotation.annotator=base",)
    assert Devices.of_run(run_config(*openai)) == Devices(teacher=0, student=1, training=1)
    parallel = ("engine=vllm", "engine.tensor_parallel_size=2", "finetuning.processes=4")
    assert Devices.of_run(run_config(*parallel)) == Devices(teacher=2, student=2, training=4)
    assert Devices.of_run(run_config(*parallel, *openai)) == Devices(teacher=0, student=2, training=4)


def test_uncounted_calls_are_unknown(tmp_path: Path) -> None:
    old = stage(tmp_path, "inputs", {"tokens": {"prompt": 700, "generated": 50}})
    new = stage(tmp_path, "outputs", {"tokens": {"prompt": 1, "generated": 1, "calls": 5}})
    found = costs({"inputs": old, "outputs": new}, 3)
    assert found.calls is None
    assert found.kept_per_1000_calls is None
    assert found.prompt_tokens == 701


def test_nothing_made_costs_nothing() -> None:
    found = costs({}, 0)
    assert (found.calls, found.device_seconds, found.kept_per_1000_calls) == (0, 0, None)


def test_a_journal_that_began_without_calls(tmp_path: Path) -> None:
    with Journal(tmp_path / "new") as journal:
        assert journal_tokens(journal) == {"prompt": 0, "generated": 0, "calls": 0}
        journal.append({"tokens": TokenCount(5, 2, 3).counts()})
        journal.append({"tokens": (TokenCount(15, 4, 7) - TokenCount(5, 2, 3)).counts()})
        assert journal_tokens(journal) == {"prompt": 15, "generated": 4, "calls": 7}
    with Journal(tmp_path / "old") as journal:
        journal.append({"tokens": [5, 2]})
        journal.append({"tokens": TokenCount(1, 1, 1).counts()})
        assert journal_tokens(journal) == {"prompt": 6, "generated": 3}


def test_a_run_counts_what_it_asked(tmp_path: Path) -> None:
    config = run_config(*smoke(write_task(tmp_path), tmp_path / "store"))
    run(config, tmp_path / "run")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    made, counts = result["costs"]["method"], result["counts"]
    annotated = sum(1 for c in (tmp_path / "run" / "candidates.jsonl").open() if json.loads(c)["samples"])
    # The cost model of the method: one call a proposal, and `best_of` an accepted input.
    assert made["calls"] == made["teacher_calls"] == counts["proposed"] + 4 * annotated
    assert made["kept"] == counts["train"] == counts["synthetic"]
    assert made["prompt_tokens"] == sum(result["tokens"][name]["prompt"] for name in ("inputs", "outputs"))
    assert made["steps"] > 0
    assert made["trained_tokens"] > 0
    # The control's training is not the method's cost.
    assert made["steps"] == 2 * -(-counts["train"] // config.finetuning.batch_size)
    # The method's answers, and its control's.
    assert result["costs"]["answers"]["prompt_tokens"] == result["tokens"]["tuned"]["prompt"]
