"""No gold beyond the demonstrations reaches a method: the same bytes come out whatever the gold is."""

import io
import json
from pathlib import Path

from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.models.session import Session
from selfguide.pipeline import run
from selfguide.tasks.gold import GoldData
from selfguide.tasks.load import load_task
from tests.composing import run_config
from tests.tiny_task import smoke, write_task


def quiet() -> Terminal:
    return Terminal(Console(file=io.StringIO()))


def test_synthesis_does_not_depend_on_gold(tmp_path: Path) -> None:
    task = write_task(tmp_path, classification=True)
    content = json.loads(task.read_text())
    poisoned = tmp_path / "poisoned" / "shade.json"
    poisoned.parent.mkdir()
    swapped = {"dark": "light", "light": "dark"}
    content["instances"] = [
        {"input": f"POISON {row['input'][::-1]}", "output": swapped[row["output"]] if index % 3 else "grey"}
        for index, row in enumerate(content["instances"])
    ]
    poisoned.write_text(json.dumps(content))
    made = {}
    for name, path in {"clean": task, "poisoned": poisoned}.items():
        overrides = smoke(path, tmp_path / f"store-{name}", "finetuning=none", "evaluation.limit=4")
        run(run_config(*overrides), tmp_path / name, quiet())
        made[name] = [(tmp_path / name / file).read_bytes() for file in ("candidates.jsonl", "dataset.jsonl")]
        result = json.loads((tmp_path / name / "result.json").read_text())
        made[name].append(str([result["keys"][stage] for stage in ("inputs", "outputs", "dataset")]).encode())
    assert made["clean"] == made["poisoned"]
    assert b"POISON" not in b"".join(made["poisoned"]) and b"grey" not in b"".join(made["poisoned"])


def test_a_session_holds_no_gold(tmp_path: Path) -> None:
    config = run_config(*smoke(write_task(tmp_path), tmp_path / "store"))
    task, gold = load_task(config.task, config.data, config.seed)
    session = Session(config, task, quiet())
    reachable = [*vars(session).values(), *(getattr(task, name) for name in task.__slots__)]
    assert not any(isinstance(value, GoldData) for value in reachable)
    texts = {instance.input for split in ("validation", "test") for instance in gold.open(split)}
    assert not any(text in str(vars(session)) or text in str(task) for text in texts)


def test_only_the_split_asked_for_is_opened(tmp_path: Path) -> None:
    opened: list[str] = []
    original = GoldData.open

    def observing(self: GoldData, split, purpose="evaluation"):  # type: ignore[no-untyped-def]
        opened.append(split)
        return original(self, split, purpose)

    GoldData.open = observing  # type: ignore[method-assign]
    try:
        more = ("evaluation.split=validation", "method=few_shot_icl")
        overrides = smoke(write_task(tmp_path), tmp_path / "store", *more)
        run(run_config(*overrides), tmp_path / "run", quiet())
    finally:
        GoldData.open = original  # type: ignore[method-assign]
    assert opened == ["validation"]
