import json
import multiprocessing
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.core.errors import DataError
from selfguide.core.files import canonical_json, read_jsonl, write_jsonl, write_text
from selfguide.store import Journal, Store, fingerprint

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_key_depends_on_content_not_on_order(spec: dict) -> None:
    assert fingerprint(spec) == fingerprint(dict(reversed(spec.items())))
    assert fingerprint(json.loads(canonical_json(spec))) == fingerprint(spec)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.text(), JSON)
def test_any_changed_field_changes_the_key(spec: dict, field: str, value: object) -> None:
    changed = {**spec, field: value}
    assert (canonical_json(changed) == canonical_json(spec)) == (fingerprint(changed) == fingerprint(spec))


def test_second_run_is_a_hit_and_does_not_build(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.run("x", {"a": 1}, lambda work: (work / "f").write_text("made") and {"n": 3})
    again = store.run("x", {"a": 1}, lambda work: pytest.fail("built twice"))
    assert (first.hit, again.hit) == (False, True)
    assert again.info == {"n": 3}
    assert (again.path / "f").read_text() == "made"


def test_seconds_are_those_of_all_attempts(tmp_path: Path) -> None:
    """From nothing where there was none, or none that can be believed."""
    store = Store(tmp_path)
    assert store.run("x", {"a": 1}, lambda work: None).seconds < 0.5
    key = fingerprint({"a": 2})
    for before, least in (("20.5", 20.5), ("-3", 0), ("nan", 0), ("inf", 0), ("later", 0)):
        work = tmp_path / before / f"{key}.partial"
        work.mkdir(parents=True)
        (work / ".seconds").write_text(before)
        assert least <= store.run(before, {"a": 2}, lambda work: None).seconds < least + 0.5


def test_a_failed_build_leaves_its_work_for_the_next(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def dies(work: Path) -> None:
        (work / "half").write_text("kept")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.run("x", {}, dies)
    assert store.find("x", {}) is None
    stage = store.run("x", {}, lambda work: {"found": (work / "half").read_text()})
    assert stage.info == {"found": "kept"}


def test_seconds_add_up_over_interruptions(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def dies(work: Path) -> None:
        time.sleep(0.2)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.run("x", {}, dies)
    assert store.run("x", {}, lambda work: None).seconds >= 0.2


def _count(root: str, log: str) -> None:
    def build(work: Path) -> None:
        with Path(log).open("a") as file:
            file.write("built\n")
        time.sleep(0.3)

    Store(root).run("x", {"same": True}, build)


def test_two_processes_build_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(str(tmp_path / "store"), str(log))) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(400)
        assert process.exitcode == 0
    assert log.read_text() == "built\n"


def test_waiting_too_long_is_one_clear_line(tmp_path: Path) -> None:
    def waits(work: Path) -> None:
        with pytest.raises(DataError, match=r"store\.root: another run has been computing"):
            Store(tmp_path, lock_timeout_s=0.1).run("x", {}, lambda inner: None)

    Store(tmp_path).run("x", {}, waits)


def test_a_torn_journal_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append({"n": 1})
        journal.append({"n": 2})
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with Journal(path) as journal:
            kept = [row["n"] for row in journal.rows]
            assert kept == [1, 2][: whole[:cut].count(b"\n")]
            for n in range(len(kept) + 1, 3):
                journal.append({"n": n})
        assert path.read_bytes() == whole


@given(st.lists(st.dictionaries(st.text(), st.text(), max_size=3), max_size=5))
def test_jsonl_round_trip(rows: list[dict[str, str]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        write_jsonl(path, rows)
        assert list(read_jsonl(path)) == rows


def test_write_text_replaces_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    write_text(path, "old")
    write_text(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["f"]
    assert path.read_text() == "new"
