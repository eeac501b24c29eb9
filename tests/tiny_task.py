"""A task small enough for tests, written as a user would write it."""

import itertools
import json
from pathlib import Path

COLORS = ["red", "blue", "green", "black", "white", "brown"]
THINGS = ["ball", "hat", "car", "book", "door"]


def write_task(folder: Path, *, classification: bool = False) -> Path:
    """A task file in the simple JSON form: 30 instances; colour of the thing, or whether it is dark."""
    rows = []
    for color, thing in itertools.product(COLORS, THINGS):
        output = ("dark" if color in ("black", "brown", "blue") else "light") if classification else color
        rows.append({"input": f"Tom saw the {color} {thing}.", "output": output})
    examples = [rows.pop(place) for place in (0, 6, 17)]
    instruction = "Is the thing dark or light?" if classification else "Name the color of the thing."
    path = folder / ("shade.json" if classification else "color.json")
    path.write_text(json.dumps({"instruction": instruction, "examples": examples, "instances": rows}))
    return path


def colors(prompt: str, seed: int, sample: int) -> str:
    """A model that is good at it, for a scripted engine."""
    if prompt.endswith("Output:"):
        return next((color for color in COLORS if color in prompt.rsplit("Input:", 1)[1]), "red")
    return f"Eva has the {COLORS[seed % 6]} {THINGS[seed // 6 % 5]} number {seed % 1000}."


def smoke(task: Path, store: Path, *more: str) -> list[str]:
    """Overrides for a run of seconds on `task`."""
    return [
        "task=json",
        f"task.path={task}",
        f"task.name={task.stem}",
        f"task.family={'classification' if task.stem == 'shade' else 'generation'}",
        f"store.root={store}",
        "synthesis=smoke",
        "filters.input_length=off",
        "annotation.min_share=0.1",
        "data.validation_fraction=0.5",
        "evaluation.bootstrap=200",
        "finetuning.max_epochs=2",
        "finetuning.epochs=2",
        "finetuning.demonstration_copies=3",
        "finetuning.added_demonstrations=0",
        "annotation.conditioning_label_weight=0",
        "annotation.annotator=base",
        *more,
    ]
