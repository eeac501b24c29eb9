"""Fewer rounds, or more, than a finished stage has: those that both have are not paid twice."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.pipeline import run
from selfguide.testing.method import SMALL, answer, write_task
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config


def proposed(folder: Path, store: str, rounds: int, *overrides: str) -> tuple[bytes, int, dict[str, int]]:
    """The candidates of a run of so many rounds, how many of them were asked for now, and the tokens it says."""
    folder.mkdir(exist_ok=True)
    config = run_config(
        "task=json", f"task.path={write_task(folder, '{shade}')}", "task.name=shade", f"store.root={folder / store}",
        *SMALL, "finetuning=none", "generation.prompts_per_round=3", "generation.target=null",
        f"generation.rounds={rounds}", *overrides,
    )  # fmt: skip
    asked = 0

    def counting(prompt: str, seed: int, sample: int) -> str:
        nonlocal asked
        asked += "new input" in prompt.lower()
        return answer(prompt, seed, sample)

    engine = ScriptedEngine(load_prompt_tokenizer(config.model).decode, counting)
    run(config, folder / f"{store}-{rounds}", Terminal(Console(file=io.StringIO())), engine)
    [inputs] = [
        path for path in (folder / store / "inputs").glob("*/spec.json")
        if json.loads(path.read_text())["generation"]["rounds"] == rounds
    ]  # fmt: skip
    manifest = json.loads((inputs.parent / "manifest.json").read_text())
    return (folder / f"{store}-{rounds}" / "candidates.jsonl").read_bytes(), asked, manifest["info"]["tokens"]


@pytest.mark.parametrize("order", [(4, 2), (2, 4)])
def test_rounds_that_a_finished_stage_has_are_taken_from_it(tmp_path: Path, order: tuple[int, int]) -> None:
    fresh = {rounds: proposed(tmp_path, f"fresh{rounds}", rounds) for rounds in order}
    first, second = (proposed(tmp_path, "shared", rounds) for rounds in order)
    assert first == fresh[order[0]] and first[1] > 0
    assert (second[0], second[2]) == (fresh[order[1]][0], fresh[order[1]][2])
    assert second[1] == max(0, fresh[order[1]][1] - fresh[order[0]][1])


def test_rounds_of_other_settings_are_not_taken(tmp_path: Path) -> None:
    proposed(tmp_path, "shared", 4)
    for override in ("temperature.input=0.31", "seed=5"):
        fresh = proposed(tmp_path, f"fresh-{override.partition('=')[0]}", 2, override)
        shared = tmp_path / "shared" / "inputs"
        before = set(shared.glob("*/manifest.json"))
        candidates = run_again(tmp_path, override)
        assert candidates == fresh[0] and len(set(shared.glob("*/manifest.json")) - before) == 1


def run_again(folder: Path, override: str) -> bytes:
    """Two rounds with this override in the shared store."""
    config = run_config(
        "task=json", f"task.path={write_task(folder, '{shade}')}", "task.name=shade", f"store.root={folder / 'shared'}",
        *SMALL, "finetuning=none", "generation.prompts_per_round=3", "generation.target=null", "generation.rounds=2",
        override,
    )  # fmt: skip
    engine = ScriptedEngine(load_prompt_tokenizer(config.model).decode, answer)
    run(config, folder / "again", Terminal(Console(file=io.StringIO())), engine)
    return (folder / "again" / "candidates.jsonl").read_bytes()
