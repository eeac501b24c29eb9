"""What the rounds of one run added is seed data of another: the same rows, its gold remembered, other tasks refused."""

import json
import shutil
from pathlib import Path

import pytest

from selfguide.core.errors import ConfigError, DataError
from selfguide.tasks.provenance import instance_hash
from tests.composing import run_config
from tests.methods.running import Ran, scripted
from tests.methods.test_loop import SMALL, unsure, writer


def added(ran: Ran) -> set[tuple[str, str]]:
    rows = ran.rows("candidates")
    return {(row["input"], row["output"]) for row in rows if row["round"] > 0 and row["dropped"] is None}


def pairs(ran: Ran) -> list[tuple[str, str]]:
    return [(row["input"], row["output"]) for row in ran.rows("dataset")]


def taking(source: Ran, folder: Path, *overrides: str, method: str = "zerogen", name: str = "run") -> Ran:
    """A run of the same task file that takes what `source` added."""
    more = (*SMALL, f"method.initial_data.extra_rows={source.folder}", *overrides)
    return scripted(folder, writer, f"method={method}", *more, task=source.folder.parent / "shade.json", name=name)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return scripted(tmp_path_factory.mktemp("s3"), writer, "method=s3", *SMALL)


def test_the_added_rows_join_the_methods_own(s3: Ran, tmp_path: Path) -> None:
    own = scripted(tmp_path, writer, "method=zerogen", *SMALL, "method.filter.min_words=3", name="own")
    both = taking(s3, tmp_path, "method.filter.min_words=3", name="both")
    assert both.result["keys"]["proposals_0"] == own.result["keys"]["proposals_0"], "what it makes itself is the same"
    assert set(pairs(both)) == {*pairs(own), *added(s3)}
    assert len(pairs(both)) == len(pairs(own)) + len(added(s3)) > len(pairs(own))
    foreign = [row for row in both.rows("candidates") if row["source"] == "transferred"]
    assert {(row["input"], row["output"]) for row in foreign} == added(s3)
    assert s3.result["claims_gold"] and both.result["claims_gold"], "S3's additions are made of gold errors"
    assert not own.result["claims_gold"]


def test_an_input_that_is_there_already_is_no_second_row(s3: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "repeated"
    shutil.copytree(s3.folder, folder)
    lines = (folder / "candidates.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    repeated = {**json.loads(lines[-1]), "id": "9-9", "input": first["input"].upper(), "dropped": None}
    (folder / "candidates.jsonl").write_text("\n".join([*lines, json.dumps(repeated)]) + "\n")
    ran = taking(s3, tmp_path, f"method.initial_data.extra_rows={folder}", method="s3")
    assert [row["dropped"] for row in ran.rows("candidates") if row["id"] == "t9-9"] == ["duplicate"]


def test_a_source_without_gold_makes_no_claim(tmp_path: Path) -> None:
    source = scripted(tmp_path, unsure, "method=selfguide_extrapolate", name="source")
    assert added(source) and not source.result["claims_gold"]
    split = ("evaluation.split=validation", "evaluation.limit=4")  # nothing gold is behind it
    ran = taking(source, tmp_path, *split, name="taker")
    assert not ran.result["claims_gold"]
    assert added(source) <= set(pairs(ran))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ("evaluation.split=validation evaluation.limit=4", "drew on 4 of the 4 instances that this run is scored on"),
        ("data.split_seed=1", r"drew on \d+ of the 13 instances that this run is scored on"),
        ("task.name=other", "is a run of shade, whose name is not this task's"),
        ("task.instruction=Guess.", "is a run of shade, whose instruction is not this task's"),
        ("task.num_demonstrations=2", "is a run of shade, whose demonstrations is not this task's"),
    ],
)
def test_another_task_or_split_is_refused(overrides: str, said: str, s3: Ran, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said) as error:
        taking(s3, tmp_path, *overrides.split())
    assert len(str(error.value).splitlines()) == 1


def test_a_changed_file_is_compared_instance_by_instance(s3: Ran, tmp_path: Path) -> None:
    """Of a file with fewer test instances, pool instances of the source are for the test."""
    content = json.loads((s3.folder.parent / "shade.json").read_text())
    seen = json.loads((s3.folder / "details.json").read_text())["provenance"]["instances"]
    unseen = [row for row in content["instances"] if instance_hash(row["input"]) not in seen]
    fewer = [row for row in content["instances"] if row not in unseen[::2]]
    shorter = tmp_path / "shade.json"
    shorter.write_text(json.dumps({**content, "instances": fewer}))
    take = (*SMALL, f"method.initial_data.extra_rows={s3.folder}")
    with pytest.raises(DataError, match="instances that this run is scored on"):
        scripted(tmp_path, writer, "method=zerogen", *take, task=shorter)
    shorter.write_text(json.dumps({**content, "instances": unseen}))
    assert scripted(tmp_path, writer, "method=zerogen", *take, task=shorter, name="apart").result["claims_gold"]


def test_a_source_that_does_not_say_what_it_saw_is_refused(s3: Ran, tmp_path: Path) -> None:
    folder = tmp_path / "earlier"
    shutil.copytree(s3.folder, folder)
    details = json.loads((folder / "details.json").read_text())
    del details["provenance"]
    (folder / "details.json").write_text(json.dumps(details))
    with pytest.raises(DataError, match="does not say which gold it saw; run it again"):
        taking(s3, tmp_path, f"method.initial_data.extra_rows={folder}")


def test_a_folder_without_additions_is_refused(s3: Ran, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no finished run there"):
        scripted(tmp_path, writer, "method=zerogen", f"method.initial_data.extra_rows={tmp_path}")
    own = scripted(tmp_path, writer, "method=zerogen", *SMALL, name="own")
    with pytest.raises(DataError, match="added no rows"):
        taking(own, tmp_path, name="taker")
    with pytest.raises(ConfigError, match=r"method\.initial_data\.extra_rows: x is not allowed; allowed: null"):
        run_config("method=progen", "method.initial_data.extra_rows=x")
