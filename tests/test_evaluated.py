"""Which instances a run is scored on, what its data are kept apart from, and what a system is shown."""

from pathlib import Path

from selfguide.tasks.load import load_task
from tests.composing import run_config
from tests.methods.running import Ran, scripted
from tests.tiny_task import smoke, write_task


def ids(ran: Ran) -> list[str]:
    return [row["id"] for row in ran.rows("predictions")]


def test_the_same_instances_are_scored_for_every_seed_of_a_run(tmp_path: Path) -> None:
    def evaluated(name: str, *more: str) -> list[str]:
        few = ("method=few_shot_icl", "evaluation.limit=5", *more)
        return ids(scripted(tmp_path, lambda *_: "light", *few, name=name, loop=False))

    first = evaluated("first")
    assert len(first) == 5
    assert evaluated("one", "seed=1") == evaluated("two", "seed=2") == first
    assert evaluated("other", "data.split_seed=1") != first


def test_data_are_kept_apart_from_the_split_that_is_scored(tmp_path: Path) -> None:
    """A model that knows every gold input by heart: those of the evaluated split are dropped, no others."""
    config = run_config(*smoke(write_task(tmp_path, classification=True), tmp_path / "unused"))
    _, gold = load_task(config.task, config.data, config.seed)
    inputs = {split: [row.input for row in gold.open(split)] for split in ("validation", "test")}
    known = inputs["validation"] + inputs["test"]

    def copying(prompt: str, seed: int, sample: int) -> str:
        return "light" if prompt.endswith("Output:") else known[seed % len(known)]

    more = ("method=selfguide", "generation.rounds=8", "generation.target=null", "filters.near_duplicates=null")
    for split, other, decontaminate in (
        ("validation", "test", "drop"), ("test", "validation", "drop"), ("test", "validation", "report"),
    ):  # fmt: skip
        overrides = (f"evaluation.split={split}", f"filters.decontaminate={decontaminate}")
        ran = scripted(tmp_path, copying, *more, *overrides, name=f"{split}-{decontaminate}", loop=False)
        judged = [row for row in ran.rows("candidates") if row["samples"] or row["dropped"] == "contaminated"]
        gone = {row["input"]: row["dropped"] == "contaminated" for row in judged}
        assert {gone[text] for text in inputs[split] if text in gone} == {decontaminate == "drop"}
        assert {gone[text] for text in inputs[other] if text in gone} == {False}


def test_zero_shot_prompts_show_no_demonstration_and_few_shot_prompts_all(tmp_path: Path) -> None:
    ran = scripted(tmp_path, lambda *_: "light", "method=zero_shot", loop=False)
    config = run_config(*smoke(tmp_path / "shade.json", tmp_path / "unused"))
    task, _ = load_task(config.task, config.data, config.seed)
    shown = [sum(f"Input: {d.input}\nOutput: {d.output}" in prompt for d in task.demonstrations) for prompt in
             ran.engine.prompts]  # fmt: skip
    assert sorted(shown) == [0] * len(ids(ran)) + [len(task.demonstrations)] * len(ids(ran))
    assert len(set(ran.engine.prompts)) == 2 * len(ids(ran))
