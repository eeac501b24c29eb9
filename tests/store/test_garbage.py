"""What may go of a store, and what never does."""

import json
import os
from pathlib import Path

import pytest

from selfguide.core.errors import DataError
from selfguide.core.hashing import LARGE
from selfguide.store import Store, StoredStage
from selfguide.store.__main__ import main
from selfguide.store.check import check_store
from selfguide.store.garbage import GONE, collect, garbage


def made(store: Store, number: int, text: str = "made") -> StoredStage:
    return store.run("x", {"n": number}, lambda work: (work / "f").write_text(text) and None)


def used(root: Path, folder: Path, *numbers: int) -> Store:
    """A store in which a run with this folder, which goes on, made these stages."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(root)
    store.used_by(folder)
    for number in numbers:
        made(store, number)
    return store


def over(store: Store) -> None:
    assert store.usage is not None
    store.usage.close()


def left(root: Path) -> set[int]:
    return {json.loads(path.read_text())["n"] for path in root.glob("x/*/spec.json")}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "store"


def test_what_a_run_folder_used_stays_until_the_folder_goes(root: Path, tmp_path: Path) -> None:
    for name, numbers in (("a", (1, 2)), ("b", (2, 3))):
        over(used(root, tmp_path / "elsewhere" / name, *numbers))
    made(Store(root), 4)
    assert [each.why for each in collect(root, [])] == ["no run folder uses it"]
    assert left(root) == {1, 2, 3}
    (tmp_path / "elsewhere" / "a").rmdir()
    list(collect(root, []))
    assert left(root) == {2, 3}
    (tmp_path / "elsewhere" / "b").rmdir()
    list(collect(root, []))
    assert left(root) == set()
    assert not list(root.glob("roots/*.jsonl"))


def test_a_run_that_goes_on_keeps_its_stages_without_a_folder(root: Path, tmp_path: Path) -> None:
    store = used(root, tmp_path / "run", 1)
    (tmp_path / "run").rmdir()
    assert not list(garbage(root, []))
    over(store)
    assert len(list(garbage(root, []))) == 2, "the stage and its note"


def test_a_killed_run_keeps_its_unfinished_stage(root: Path, tmp_path: Path) -> None:
    store = used(root, tmp_path / "run")

    def dies(work: Path) -> None:
        (work / "half").write_text("kept")
        raise KeyboardInterrupt

    for each in (store, Store(root)):
        with pytest.raises(KeyboardInterrupt):
            each.run("x", {"n": 1 if each is store else 2}, dies)
    over(store)
    [unused] = collect(root, [])
    assert "unfinished" in unused.why
    assert left(root) == {1}


def test_run_folders_of_earlier_versions_and_frozen_settings_count_where_they_are_looked_for(
    root: Path, tmp_path: Path
) -> None:
    stages = [made(Store(root), number) for number in range(3)]
    result, lock = tmp_path / "old" / "run" / "result.json", tmp_path / "mine" / "lock.yaml"
    for file in (result, lock):
        file.parent.mkdir(parents=True)
    result.write_text(json.dumps({"keys": {"inputs": f"x/{stages[0].key}"}}))
    lock.write_text(f"stages: [x/{stages[1].key}]")
    assert len(list(garbage(root, []))) == 3
    list(collect(root, [tmp_path / "old", tmp_path / "mine"]))
    assert left(root) == {0, 1}


def test_nothing_is_deleted_unless_asked_and_never_what_is_pinned(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = [made(Store(root), number) for number in range(2)]
    main(["pin", stages[0].key, "--root", str(root)])
    main(["gc", "--root", str(root)])
    assert left(root) == {0, 1}
    said = capsys.readouterr().out
    assert "would delete" in said and stages[1].key in said and f"{stages[0].key}:" not in said
    main(["gc", "--root", str(root), "--delete"])
    assert left(root) == {0}
    main(["pin", stages[0].key, "--remove", "--root", str(root)])
    main(["gc", "--root", str(root), "--delete"])
    assert left(root) == set()


def test_nothing_outside_the_store_is_touched(root: Path, tmp_path: Path) -> None:
    """Links are passed over, and so is what the store did not make."""
    stage = made(Store(root), 1)
    outside = tmp_path / "outside" / stage.path.name
    stage.path.rename(outside.parent.mkdir() or outside)
    stage.path.symlink_to(outside)
    (root / "y").symlink_to(outside.parent)
    (root / "x" / "notes").mkdir()
    assert not list(collect(root, []))
    assert (outside / "f").read_text() == "made" and (root / "x" / "notes").is_dir()


def test_a_deletion_that_was_killed_is_finished_by_the_next(root: Path) -> None:
    stage = made(Store(root), 1)
    gone = stage.path.rename(stage.path.with_name(stage.key + GONE))
    assert not made(Store(root), 1).hit, "half a stage is none"
    assert [each.path for each in garbage(root, [])] == [stage.path, gone]
    list(collect(root, []))
    assert not gone.exists() and not stage.path.exists()


def test_du_counts_shared_files_once(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = made(Store(root), 1, "z" * 5000)
    before = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    os.link(stage.path / "f", stage.path / ".again")
    main(["du", "--root", str(root)])
    assert f"{before / 1000:.1f} kB" in capsys.readouterr().out.splitlines()[-1]


def test_released_files_are_made_again_to_the_same_stage(root: Path) -> None:
    store = Store(root)
    stage = made(store, 1)
    whole = {path.name: path.read_bytes() for path in stage.path.iterdir()}
    store.release(stage.path, ["f"])
    found = store.find("x", {"n": 1})
    assert found is not None and set(found.released) == {"f"} and not (stage.path / "f").exists()
    assert {entry.state for entry in check_store(root)} == {"whole"}
    restored = store.restore("x", {"n": 1}, lambda work: (work / "f").write_text("made") and None)
    assert not restored.released
    assert {path.name: path.read_bytes() for path in stage.path.iterdir()} == whole


def test_what_comes_out_otherwise_is_another_stage(root: Path) -> None:
    store = Store(root)
    store.release(made(store, 1).path, ["f"])
    with pytest.raises(DataError, match="came out otherwise; start the run again"):
        store.restore("x", {"n": 1}, lambda work: (work / "f").write_text("other") and None)
    again = made(store, 1)
    assert again.hit and (again.path / "f").read_text() == "other"


def test_a_release_that_was_killed_is_finished(root: Path, tmp_path: Path) -> None:
    store = used(root, tmp_path / "run", 1)
    over(store)
    stage = made(Store(root), 1)
    store.release(stage.path, ["f"])
    (stage.path / "f").write_text("made")
    assert [each.path for each in collect(root, [])] == [stage.path / "f"]
    assert left(root) == {1} and not (stage.path / "f").exists()


def test_a_stage_that_is_being_computed_is_left_alone_whoever_uses_it(root: Path) -> None:
    seen = []

    def build(work: Path) -> None:
        (work / "f").write_text("half")
        seen.extend(garbage(root, []))

    stage = Store(root).run("x", {"n": 1}, build)
    assert not seen
    assert [each.path for each in garbage(root, [])] == [stage.path]


def test_what_another_folder_shares_frees_nothing(root: Path, tmp_path: Path) -> None:
    stage = made(Store(root), 1, "z" * 5000)
    [alone] = garbage(root, [])
    os.link(stage.path / "f", tmp_path / "kept")
    [shared] = garbage(root, [])
    assert alone.bytes - shared.bytes == 5000


def test_a_check_reads_every_file_whatever_is_remembered_of_it(root: Path) -> None:
    """Bits that rot leave a file's size and time as they are."""
    stage = made(Store(root), 1, "z" * LARGE)
    file = stage.path / "f"
    os.utime(file, (1, 1))
    assert {entry.state for entry in check_store(root)} == {"whole"}
    file.write_text("z" * (LARGE - 1) + "y")
    os.utime(file, (1, 1))
    assert {entry.state for entry in check_store(root)} == {"damaged"}
