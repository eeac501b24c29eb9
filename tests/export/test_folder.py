"""An export destroys nothing: it writes where nothing is, or over an earlier export."""

import json
import os
from pathlib import Path

import pytest

from selfguide.analysis.folder import RunFolder
from selfguide.apps.export.dataset import export_dataset
from selfguide.apps.export.folder import MARKER, exported
from selfguide.apps.export.weights import export_weights
from selfguide.core.errors import DataError
from tests.export.runs import run_with_adapter


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.open(run_with_adapter(tmp_path))


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def fill(folder: Path, run: Path, text: str = "new") -> None:
    with exported(folder, run) as made:
        (made / "sub").mkdir()
        (made / "sub" / "file").write_text(text)


def test_a_run_is_not_exported_onto_itself(run: RunFolder, tmp_path: Path) -> None:
    before = content(run.path)
    link = tmp_path / "link"
    link.symlink_to(run.path)
    for target in (run.path, link, run.path / "sub" / ".."):
        with pytest.raises(DataError, match="is the run itself"):
            export_weights(run, run.config.model, target, "adapter")
    assert content(run.path) == before


@pytest.mark.parametrize("name", ["dataset", "adapter", "model"])
def test_folders_of_others_are_left_alone(run: RunFolder, tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    (out / name).mkdir(parents=True)
    (out / name / "thesis.tex").write_text("three years")
    with pytest.raises(DataError, match=rf"{name} holds 'thesis\.tex', which no export wrote"):
        if name == "dataset":
            export_dataset(run, out / name)
        else:
            export_weights(run, run.config.model, out, "adapter" if name == "adapter" else "merged")
    assert content(out) == {f"{name}/thesis.tex": b"three years"}


def test_an_export_replaces_an_earlier_one_but_no_file_added_to_it(tmp_path: Path) -> None:
    folder, run = tmp_path / "out" / "dataset", tmp_path / "run"
    folder.mkdir(parents=True)  # empty: nothing is lost
    fill(folder, run, "old")
    with exported(folder, run) as made:
        (made / "other").write_text("new")
    assert content(folder) == {"other": b"new"}
    (folder / "notes").write_text("mine")
    with pytest.raises(DataError, match="holds 'notes'"):
        fill(folder, run)
    assert content(folder) == {"other": b"new", "notes": b"mine"}
    assert [path.name for path in folder.parent.iterdir() if path.name != MARKER] == ["dataset"]


def test_an_export_that_fails_leaves_the_earlier_one(tmp_path: Path) -> None:
    folder, run = tmp_path / "out" / "dataset", tmp_path / "run"
    fill(folder, run, "old")
    with pytest.raises(ZeroDivisionError), exported(folder, run) as made:
        (made / "file").write_text("half")
        raise ZeroDivisionError
    assert content(folder) == {"sub/file": b"old"}
    fill(folder, run)


@pytest.mark.parametrize("mark", ["{", "[]", '{"dataset": 5}', '{"dataset": [[]]}', '{"dataset": ["../../precious"]}'])
def test_a_marker_from_elsewhere_frees_nothing(tmp_path: Path, mark: str) -> None:
    folder = tmp_path / "out" / "dataset"
    folder.mkdir(parents=True)
    (folder / "file").write_text("mine")
    (tmp_path / "precious").write_text("mine")
    (folder.parent / MARKER).write_text(mark)
    with pytest.raises(DataError, match="which no export wrote"):
        fill(folder, tmp_path / "run")
    assert (tmp_path / "precious").exists()


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dataset").symlink_to(tmp_path / "mine")
    with pytest.raises(DataError, match="not written by an earlier export"):
        fill(tmp_path / "out" / "dataset", tmp_path / "run")
    assert list((tmp_path / "mine").iterdir()) == []


def test_links_and_pipes_in_an_adapter_do_not_leave_the_machine(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "secret").write_text("sesame")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "file").write_text("sesame")
    (run.path / "adapter" / "notes.txt").symlink_to(tmp_path / "secret")
    (run.path / "adapter" / "more").symlink_to(tmp_path / "secrets")
    os.mkfifo(run.path / "adapter" / "pipe")
    folder = export_weights(run, run.config.model, tmp_path / "out", "adapter")
    assert not any("sesame" in file.read_text(errors="ignore") for file in folder.rglob("*") if file.is_file())
    assert json.loads((folder / "adapter_config.json").read_text())["r"] == 4
    said = capsys.readouterr().err
    assert all(f"{name}: not a regular file, left out" in said for name in ("notes.txt", "more", "pipe"))


def test_a_folder_around_the_run_is_never_replaced_whatever_a_marker_says(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run"
    run.mkdir(parents=True)
    (run / "result.json").write_text("{}")
    (tmp_path / MARKER).write_text(json.dumps({"runs": ["run/result.json"]}))
    with pytest.raises(DataError, match="is the run itself"):
        fill(tmp_path / "runs", run)
    assert content(tmp_path / "runs") == {"run/result.json": b"{}"}


def test_an_adapter_names_no_revision_of_a_base_that_has_none_elsewhere(run: RunFolder, tmp_path: Path) -> None:
    file = run.path / "adapter" / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "revision": "of this machine"}))
    folder = export_weights(run, run.config.model, tmp_path / "out", "adapter")
    assert json.loads((folder / "adapter_config.json").read_text())["revision"] is None
