"""`selfguide init NAME`: a commented task to fill in, and a config folder that knows it."""

import argparse
from pathlib import Path

from selfguide.config.command import fail
from selfguide.config.overrides import task_name
from selfguide.core.files import write_text

TASK = """\
# Your task: say what to do, show about three examples, and run it:  selfguide run --config-dir conf {name}
defaults:
  - json
  - _self_

name: {name}
# What to do, in a sentence or two, as you would tell a person.
instruction: Is the review positive or negative?
# The demonstrations: inputs and the outputs you want. They are all that the method sees of your task.
demonstrations:
  - {{input: "I loved it.", output: "positive"}}
  - {{input: "A waste of time.", output: "negative"}}
  - {{input: "Would buy again.", output: "positive"}}
# Every label, in quotes; null for a task that generates text.
labels: ["positive", "negative"]
# Labelled rows for the evaluation alone (columns input and output); null: nothing is measured.
path: {name}.csv
"""
ROWS = """\
input,output
Broke after a day.,negative
"Works well, and looks good.",positive
I want my money back.,negative
Exactly what I needed.,positive
"""
EXPERIMENT = """\
# @package _global_
# Settings of yours, together:  selfguide run --config-dir conf {name} +experiment={name}
# A line is what you would write behind `selfguide run`; `selfguide run --cfg job` shows every key and value.
defaults:
  - override /model: micro      # the bundled toy; for real work qwen2_5_0_5b_instruct, vicuna_7b_v1_5, … (conf/model/)
  # - override /engine: vllm    # faster generation on a GPU: pip install "selfguide[vllm]"

seed: 0
# generation:
#   rounds: 10                  # how often the model is asked for new inputs
# evaluation:
#   limit: 200                  # instances measured
"""


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="selfguide init", description=__doc__)
    parser.add_argument("name", nargs="?", default="reviews", help="name of the task (reviews)")
    parser.add_argument("--folder", type=Path, default=Path(), help="folder for conf/ and the rows (this one)")
    asked = parser.parse_args(arguments)
    name, folder = asked.name, asked.folder
    if name != task_name(name):
        fail(f"name: {name!r} is not allowed; allowed: letters, digits, _, . and -, as {task_name(name)}")
    files = {
        folder / "conf" / "task" / f"{name}.yaml": TASK,
        folder / "conf" / "experiment" / f"{name}.yaml": EXPERIMENT,
        folder / f"{name}.csv": ROWS,
    }
    for file in files:
        if file.exists():
            fail(f"{file} is there already; choose another name, or remove it")
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text.replace("{{", "{").replace("}}", "}").replace("{name}", name))
        print(file)
    where = "" if folder == Path() else f"cd {folder}\n"
    print(f"\nFill it in, then:\n{where}selfguide lint --config-dir conf {name}")
    print(f"selfguide run --config-dir conf {name}")
