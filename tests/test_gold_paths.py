"""Every way by which a gold answer could reach a choice: with other answers the choices are the same.

The other ways: rows of another run, tests/methods/test_transfer.py; a model made elsewhere, tests/test_provenance.py;
what a sweep chooses, tests/sweeper/test_plan.py; openings by the linter, tests/test_lint.py; the label set,
tests/tasks/test_load.py. A table chooses nothing: it shows every row that it was asked for.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.methods.running import Ran, scripted
from tests.methods.test_loop import SMALL, unsure, writer
from tests.tiny_task import write_task

OTHER = {"dark": "light", "light": "dark"}
CASES: dict[str, tuple[str, ...]] = {
    "the vote and the filters": (),
    "self-made demonstrations": ("method=self_icl",),
    "demonstrations for each test input": ("method=self_icl", "method.variant=test_conditioned"),
    "drawn demonstrations": ("method=few_shot_icl", "task.num_demonstrations=2", "task.demonstration_choice=seeded"),
    "curation": ("method=self_icl", "curation=confidence", "curation.drop_share=0.5"),
    "extrapolated errors": ("method=selfguide_extrapolate",),
    "all epochs": ("evaluation.epochs=all",),
}
# These may look at gold of the validation split: the test's stays unseen.
CLAIMING: dict[str, tuple[str, ...]] = {
    "S3's errors": ("method=s3", *SMALL),
    "GoldGen's feedback": ("method=goldgen", *SMALL),
}


def task_files(folder: Path, splits: tuple[str, ...]) -> tuple[Path, Path, str]:
    """A task, the same one with other answers in these splits, and the override that splits both in one way."""
    content = json.loads(write_task(folder, classification=True).read_text())
    rows = [{**row, "id": f"i{number}"} for number, row in enumerate(content["instances"])]
    listed = {"validation": rows[::2], "test": rows[1::2]}
    changed = {row["id"] for split in splits for row in listed[split]}
    for split, here in listed.items():
        path = folder / "ids" / split / "shade.txt"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(row["id"] for row in here))
    paths = []
    for name, touched in (("plain", set()), ("altered", changed)):
        instances = [{**row, "output": OTHER[row["output"]] if row["id"] in touched else row["output"]} for row in rows]
        paths.append(folder / name / "shade.json")
        paths[-1].parent.mkdir()
        paths[-1].write_text(json.dumps({**content, "labels": ["dark", "light"], "instances": instances}))
    return paths[0], paths[1], f"data.split=ids data.split_path={folder / 'ids'}"


def choices(ran: Ran) -> dict[str, Any]:
    """All that a run chose, answered and was asked, but for how it was scored."""
    result = ran.result
    return {
        "rows": ran.rows("dataset"),
        "candidates": ran.rows("candidates"),
        "answers": [(row["id"], row["baseline"], row["tuned"]) for row in ran.rows("predictions")],
        "prompts": sorted(ran.engine.prompts),
        "counts": (result["counts"], result["drops"], result["status"], result["warnings"]),
        "stages": {name: key for name, key in result["keys"].items() if not name.startswith("label_columns")},
    }


@pytest.mark.parametrize("case", [*CASES, *CLAIMING])
def test_other_answers_the_same_choices(case: str, tmp_path: Path) -> None:
    claims = case in CLAIMING
    plain, altered, split = task_files(tmp_path, ("test",) if claims else ("validation", "test"))
    overrides = (CLAIMING if claims else CASES)[case]
    loop = claims or overrides == ("method=selfguide_extrapolate",)
    say = unsure if overrides == ("method=selfguide_extrapolate",) else writer
    ran = [
        scripted(tmp_path / path.parent.name, say, *split.split(), *overrides, task=path, loop=loop)
        for path in (plain, altered)
    ]
    assert ran[0].result["score"]["value"] != ran[1].result["score"]["value"], "the answers did change"
    assert choices(ran[0]) == choices(ran[1])


def test_an_encoder_stops_where_its_own_rows_say(tmp_path: Path) -> None:
    plain, altered, split = task_files(tmp_path, ("validation", "test"))
    more = ("method=zerogen", "student=encoder_scratch", "student.encoder.epochs=4", "student.encoder.patience=1")
    ran = [
        scripted(tmp_path / path.parent.name, writer, *split.split(), *more, *SMALL, task=path)
        for path in (plain, altered)
    ]
    assert ran[0].result["score"]["value"] != ran[1].result["score"]["value"]
    chosen = [choices(one) | {"notes": one.result["diagnostics"].get("student")} for one in ran]
    assert chosen[0] == chosen[1]
