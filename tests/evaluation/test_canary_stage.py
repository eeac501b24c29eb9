"""The canary in a run: no answer of finetuned weights is used without it, wherever the answer comes from."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.errors import EngineError
from selfguide.core.types import Example
from selfguide.evaluation import predict
from selfguide.evaluation.canary import trusted
from selfguide.evaluation.predict import System
from selfguide.methods.curation import curate
from selfguide.methods.loop.diagnose import answers_of
from selfguide.methods.selfguide import annotate_with
from selfguide.models.base import Weights
from selfguide.models.session import Session
from selfguide.pipeline import run
from selfguide.synthesis.candidates import Candidate
from selfguide.tasks.load import load_task
from selfguide.training.weights import weights_of
from tests.composing import run_config
from tests.tiny_task import smoke, write_task

NEVER = "evaluation.canary_tolerance=1e-12"


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the store of a run that looked at nothing: trainings and scored answers are in it."""
    folder = tmp_path_factory.mktemp("canary")
    result = running(folder, "evaluation.canary=false")
    assert result["canary"] == {} and not (folder / "store" / "canary").exists()
    return folder


def overrides(folder: Path) -> list[str]:
    return smoke(write_task(folder), folder / "store")


def quiet() -> Terminal:
    return Terminal(Console(file=io.StringIO()))


def running(folder: Path, *more: str) -> Any:
    target = folder / "-".join(more or ["plain"])
    run(run_config(*overrides(folder), *more), target, quiet())
    return json.loads((target / "result.json").read_text(encoding="utf-8"))


def weights_in(folder: Path) -> Weights:
    """The last epoch of the control's training."""
    [training] = {
        spec.parent
        for spec in (folder / "store" / "training").glob("*/spec.json")
        if json.loads(spec.read_text(encoding="utf-8"))["leave_one_out"]
    }
    return weights_of(training / "epoch-2", run_config(*overrides(folder)).finetuning)


def test_stored_answers_are_not_believed_without_it(unchecked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match=r"canary: weights \w+: .* differs from the (trainer's|one alone)"):
        running(unchecked, NEVER)
    assert not (unchecked / NEVER / "result.json").exists()
    result = running(unchecked)
    assert result["cache"]["tuned"] == "hit"
    assert set(result["canary"]) == {"selfguide", "few_shot_finetune"}
    checked = f"canary_{result['canary']['selfguide']['weights']}"
    assert result["cache"][checked] == "miss" and result["tokens"][checked]["calls"] > 0
    monkeypatch.setattr("selfguide.evaluation.canary.check", None)
    assert running(unchecked)["canary"] == result["canary"], "a green verdict is kept"


@pytest.fixture
def other_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations leave the demonstrations out."""
    original = predict.answer_prompt
    monkeypatch.setattr(predict, "answer_prompt", lambda task, text, _=None: original(task, text, ()))


@pytest.mark.usefixtures("other_prompts")
def test_red_when_the_evaluation_sends_other_prompts(unchecked: Path) -> None:
    with pytest.raises(EngineError, match="the prompts differ from those in training"):
        running(unchecked, "evaluation.canary_tolerance=0.02")


def test_red_under_another_prompt_format(unchecked: Path) -> None:
    config = run_config(*overrides(unchecked), "model.prompt_format=chat", "model.chat_template=vicuna")
    task, _ = load_task(config.task, config.data, config.seed)
    weights = weights_in(unchecked)
    with Session(config, task, quiet()) as session, pytest.raises(EngineError, match="differ from those in training"):
        trusted(session, weights)


def test_green_with_demonstrations_in_an_order_of_each_row(unchecked: Path, tmp_path: Path) -> None:
    more = ("finetuning.shuffle_demonstrations=true", "evaluation.controls=false")
    run(run_config(*overrides(unchecked), *more), tmp_path / "run", quiet())
    result = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    assert result["canary"]["selfguide"]["prompts_equal"]


@pytest.mark.usefixtures("other_prompts")
@pytest.mark.parametrize("use", ["annotation", "diagnosis", "curation"])
def test_nothing_else_uses_weights_that_it_refuses(unchecked: Path, use: str) -> None:
    weights = weights_in(unchecked)
    config = run_config(*overrides(unchecked), "curation=dynamics", "evaluation.canary_tolerance=0.03")
    task, _ = load_task(config.task, config.data, config.seed)
    with Session(config, task, quiet()) as session, pytest.raises(EngineError, match="differ from those in training"):
        if use == "annotation":
            annotate_with(session, [Candidate("0-0", 0, "Tom saw the grey hat.")], weights)
        elif use == "diagnosis":
            answers_of(session, ["Tom saw the grey hat."], System(weights), 1)
        else:
            colours = ("grey", "red", "green", "black", "white", "pink")
            curate(session, [Example(f"Tom saw the {colour} hat.", colour) for colour in colours])
