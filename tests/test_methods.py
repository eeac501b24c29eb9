"""Every method through the whole run, small; what claims gold gets the pool, and nothing else does."""

import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.config.loop import LoopConfig
from selfguide.config.methods import kind_of_recipe
from selfguide.core.console import Terminal
from selfguide.core.errors import ConfigError, DataError
from selfguide.core.files import read_jsonl
from selfguide.core.paths import config_dir
from selfguide.pipeline import run
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

ResultOf = Callable[..., dict[str, Any]]
# Recipes that are a method's own, not its variant for other tasks.
NAMES = [
    path.stem
    for path in sorted((config_dir() / "method").glob("*.yaml"))
    if f"\nname: {path.stem}\n" in f"\n{path.read_text()}"
]
# The loop's methods in seconds: few proposals, one round, a bound on what a lost model writes.
SMALL = {
    "method.propose.draw.max_new_tokens": "30",
    "method.propose.attempts": "2",
    "method.attributes.items": "4",
    "method.attributes.draw.max_new_tokens": "30",
    "method.initial_data.items": "12",
    "method.loop.rounds": "1",
}
APART = {
    "loop": {"method.loop.rounds": "0"},
    "zerogen": {"method.loop.rounds": "0"},
    "progen": {"method.propose.feedback.start": "8", "method.diagnose.score_above": "2"},
    "llm2llm": {"method.initial_data.items": "null", "method.propose.show_demonstrations": "true"},
    "selfguide_extrapolate": {"method.propose.draw.max_new_tokens": "60"},
}


def small(method: str) -> list[str]:
    if not isinstance(run_config(f"method={method}").method, LoopConfig):
        return ["method.calls=12", "method.max_new_tokens=30"] if method == "gepa" else []
    return [f"{key}={value}" for key, value in {**SMALL, **APART.get(method, {})}.items()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: the baseline, the control and the candidates of a task are made once."""
    return tmp_path_factory.mktemp("methods") / "store"


@pytest.fixture
def result_of(tmp_path: Path, store: Path) -> ResultOf:
    """Runs a job of these overrides in `tmp_path`/run, or /`name`; its result."""

    def result(*overrides: str, classification: bool = True, name: str = "run") -> dict[str, Any]:
        task = write_task(tmp_path, classification=classification)
        run(run_config(*smoke(task, store, *overrides)), tmp_path / name, Terminal(Console(file=io.StringIO())))
        found: dict[str, Any] = json.loads((tmp_path / name / "result.json").read_text())
        return found

    return result


@pytest.mark.parametrize("classification", [True, False])
@pytest.mark.parametrize("method", NAMES)
def test_every_method_gives_a_result(method: str, classification: bool, result_of: ResultOf) -> None:
    result = result_of(f"method={method}", *small(method), classification=classification)
    assert result["method"] == method
    assert result["status"] in ("ok", "empty_dataset")
    assert 0 <= result["score"]["value"] <= 1


CHAT = (
    "model.prompt_format=chat", "model.chat_template=vicuna", "generation.max_new_tokens=20",
    "annotation.max_new_tokens=5", "evaluation.max_new_tokens=5",
)  # fmt: skip


@pytest.mark.parametrize("method", ["selfguide", "self_icl"])
def test_a_chat_model_is_asked_and_trained_in_turns(method: str, result_of: ResultOf) -> None:
    result = result_of(f"method={method}", *small(method), *CHAT)
    assert result["status"] == "ok"
    if method == "selfguide":  # the prompts that are served are those that were trained on: the canary compares
        assert result["canary"]["selfguide"]["prompts_equal"]


def test_zero_shot_shows_no_demonstration(result_of: ResultOf, tmp_path: Path) -> None:
    result = result_of("method=zero_shot")
    few = result_of("method=few_shot_icl", name="few")
    assert result["keys"]["tuned"] != result["keys"]["baseline"]
    assert few["keys"]["baseline"] == result["keys"]["baseline"]
    shots = [row["tuned"] for row in read_jsonl(tmp_path / "run" / "predictions.jsonl")]
    assert len(shots) == result["score"]["n"]


def test_self_icl_shows_the_data_that_selfguide_trains_on(result_of: ResultOf) -> None:
    filled = result_of("method=self_icl")
    guided = result_of("method=selfguide", name="guided")
    for stage in ("inputs", "outputs", "dataset"):
        assert filled["keys"][stage] == guided["keys"][stage]
    assert guided["cache"]["dataset"] == "hit"


def test_gold_finetuning_trains_on_the_pool_and_on_nothing_that_is_scored(result_of: ResultOf, tmp_path: Path) -> None:
    result = result_of("method=gold_finetune", "method.rows=6")
    trained = [row["input"] for row in read_jsonl(tmp_path / "run" / "dataset.jsonl")]
    scored = {row["input"] for row in read_jsonl(tmp_path / "run" / "predictions.jsonl")}
    assert len(trained) == result["counts"]["train"] == 6
    assert not set(trained) & scored
    with pytest.raises(DataError, match=r"evaluation\.limit"):
        result_of("method=gold_finetune", "evaluation.split=validation", name="all")


def test_who_claims_gold() -> None:
    claims = {name for name in NAMES if run_config(f"method={name}").method.claims_gold}
    assert claims == {"gold_finetune", "s3", "goldgen", "llm2llm", "star"}


@pytest.mark.parametrize("method", NAMES)
def test_the_kind_of_a_recipe_is_read_without_composing_it(method: str) -> None:
    assert kind_of_recipe(method) == run_config(f"method={method}").method.kind


def test_added_demonstrations_are_rows_without_their_own_answer_in_context(result_of: ResultOf, store: Path) -> None:
    plain = result_of("method=selfguide")
    added = result_of("method=selfguide", "finetuning.added_demonstrations=2", name="added")
    assert plain["keys"]["training"] != added["keys"]["training"]
    assert plain["keys"]["few_shot_finetune"] == added["keys"]["few_shot_finetune"]
    trained = list(read_jsonl(store / str(added["keys"]["training"]) / "pairs.jsonl"))
    assert len(trained) == added["counts"]["train"] + 2 * 3


def test_all_epochs_are_one_training_and_one_stream_of_requests(result_of: ResultOf) -> None:
    everything = ("evaluation.epochs=all", "finetuning.max_epochs=2")
    last = result_of(*everything, "finetuning.epochs=2")
    first = result_of(*everything, "finetuning.epochs=1", name="first")
    assert list(last["epochs"]) == ["epoch 1", "epoch 2"]
    assert last["epochs"]["epoch 2"] == last["score"]
    assert first["epochs"] == last["epochs"]
    assert first["score"] == last["epochs"]["epoch 1"]
    assert first["cache"]["training"] == "hit"
    control = "few_shot_finetune"
    assert set(last["canary"]) == {"selfguide", control, "epoch 1", "epoch 2"}


def test_an_encoder_learns_from_the_same_pairs(result_of: ResultOf, tmp_path: Path) -> None:
    result = result_of("student=encoder_scratch", "student.encoder.epochs=3")
    assert result["status"] == "ok" and result["counts"]["train"] > 0
    assert {row["tuned"] for row in read_jsonl(tmp_path / "run" / "predictions.jsonl")} <= {"dark", "light"}
    assert set(result["controls"]) == {"few_shot_finetune"}
    with pytest.raises(ConfigError, match=r"student\.kind: encoder"):
        result_of("student=encoder_scratch", classification=False, name="generation")


def test_budgets_put_methods_on_the_same_footing(result_of: ResultOf, tmp_path: Path) -> None:
    seen = {}
    for method in ("selfguide", "gold_finetune", "few_shot_finetune"):
        result_of(f"method={method}", "budget=equal_steps", "budget.steps=5", name=f"{method}-steps")
        result_of(f"method={method}", "budget=equal_rows", "budget.rows=4", name=f"{method}-rows")
        stage = "few_shot_finetune" if method == "few_shot_finetune" else "training"
        stages = [
            json.loads((tmp_path / f"{method}-{kind}" / "details.json").read_text())["stages"]
            for kind in ("steps", "rows")
        ]
        seen[method] = (stages[0][stage]["steps"], stages[1][stage]["rows"])
        found = json.loads((tmp_path / f"{method}-rows" / "result.json").read_text())
        counts, written = found["counts"], list(read_jsonl(tmp_path / f"{method}-rows" / "dataset.jsonl"))
        assert len(written) == counts["train"] == 4 - counts["demonstration_copies"]
        assert counts["synthetic"] == found["costs"]["method"]["kept"] == (4 if method == "selfguide" else 0)
        assert found["budget"] == {"unit": "rows", "asked": 4, "got": 4, "equal": True}
    assert seen == dict.fromkeys(seen, (5, 4))


def test_the_commands_for_methods_in_the_readme_compose() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text().replace("\\\n", " ")
    commands = re.findall(r"^selfguide run (method=.*)$", text, re.MULTILINE)
    assert len(commands) >= 2
    for command in commands:
        run_config(*shlex.split(command, comments=True))


def test_what_curation_and_budget_take_out_is_told(result_of: ResultOf, store: Path, tmp_path: Path) -> None:
    more = ("curation=confidence", "curation.drop_share=0.5", "budget=equal_rows", "finetuning.added_demonstrations=1")
    few = result_of("method=selfguide", *more, "budget.rows=4", "evaluation.controls=false")
    counts, drops = few["counts"], few["drops"]["outputs"]
    assert (counts["train"], counts["synthetic"], counts["demonstration_copies"]) == (4, 4, 3)
    assert drops["curated"] > 0 < drops["budget"]
    assert counts["proposed"] - 4 == sum(drops.values()) + sum(few["drops"]["inputs"].values())
    trained = list(read_jsonl(store / few["keys"]["training"] / "pairs.jsonl"))
    assert trained[:4] == list(read_jsonl(tmp_path / "run" / "dataset.jsonl")) and len(trained) == 7
