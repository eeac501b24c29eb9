"""A damaged stage never gives another result in silence, and never a traceback."""

import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from selfguide.core.errors import DataError
from selfguide.core.files import read_jsonl, write_jsonl
from selfguide.core.hashing import file_hash
from selfguide.store import Journal, Store, StoredStage, fingerprint
from selfguide.store.__main__ import main
from selfguide.store.manifest import stage_files

ROWS = [{"input": f"a long enough text {n} with ümlauts", "output": n / 7} for n in range(12)]
WEIGHTS = random.Random(0).randbytes((1 << 20) + 100)
SPEC = {"of": "a test"}
TRIED = 1200


def build(work: Path) -> dict[str, int]:
    """A stage as they are: a journal, rows, weights in a folder."""
    with Journal(work / "journal.jsonl", "kind/key/journal.jsonl") as journal:
        for row in ROWS[len(journal.rows) :]:
            journal.append(row)
        write_jsonl(work / "rows.jsonl", journal.rows)
    (work / "weights").mkdir(exist_ok=True)
    (work / "weights" / "small.safetensors").write_bytes(WEIGHTS[:500])
    return {"rows": len(ROWS)}


def load(stored: StoredStage) -> tuple[object, ...]:
    weights = [file.read_bytes() for file in sorted((stored.path / "weights").glob("*.safetensors"))]
    return list(read_jsonl(stored.path / "rows.jsonl")), weights, dict(stored.info)


def run(root: Path, damaged: str = "recompute") -> tuple[object, ...]:
    return load(Store(root, damaged=damaged).run("kind", SPEC, build))


def flip(content: bytes, stream: random.Random) -> bytes:
    index = stream.randrange(len(content))
    return content[:index] + bytes([content[index] ^ 1 << stream.randrange(8)]) + content[index + 1 :]


def splice(content: bytes, stream: random.Random, new: Callable[[int], bytes]) -> bytes:
    start = stream.randrange(len(content))
    length = stream.randrange(1, 40)
    return content[:start] + new(length) + content[start + length :]


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "bit": flip,
    "truncated": lambda content, stream: content[: stream.randrange(len(content))],
    "emptied": lambda content, stream: b"",
    "deleted": lambda content, stream: None,
    "garbage": lambda content, stream: splice(content, stream, stream.randbytes),
    "zeros": lambda content, stream: splice(content, stream, bytes),
    "zero tail": lambda content, stream: content[: (at := stream.randrange(len(content)))] + bytes(len(content) - at),
    "appended": lambda content, stream: content + stream.randbytes(stream.randrange(1, 40)),
    "replaced": lambda content, stream: stream.randbytes(len(content)),
    "lines swapped": lambda content, stream: b"".join(stream.sample(lines := content.splitlines(True), len(lines))),
    "line lost": lambda content, stream: content.replace(stream.choice(content.splitlines(True)), b"", 1),
}


def harm(folder: Path, files: list[str], stream: random.Random) -> tuple[str, bool]:
    """Damage one file of a stage: how, and whether its bytes are others now."""
    file = folder / stream.choice(files)
    how = stream.choice(list(DAMAGES))
    before = file.read_bytes()
    after = DAMAGES[how](before, stream)
    if after is None:
        file.unlink()
    else:
        file.write_bytes(after)
    return how, after != before


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder without a disk behind it where there is one: a thousand stages are flushed a dozen times each."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        yield Path(folder)


@contextmanager
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """The lines that were logged meanwhile."""
    lines: list[str] = []
    caplog.clear()
    with caplog.at_level(logging.WARNING, "selfguide"):
        yield lines
        lines += [record.getMessage() for record in caplog.records]


def test_no_damage_to_a_finished_stage_is_silent(memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    expected = run(memory / "whole")
    key = fingerprint(SPEC)
    whole = memory / "whole" / "kind" / key
    files = [str(file.relative_to(whole)) for file in whole.rglob("*") if file.is_file()]
    assert {"manifest.json", "rows.jsonl", "weights/small.safetensors"} <= set(files)
    counts: Counter[str] = Counter()
    for number in range(TRIED):
        stream = random.Random(number)
        root = memory / "damaged"
        shutil.copytree(memory / "whole", root)
        how, changed = harm(root / "kind" / key, files, stream)
        strict = stream.random() < 0.3
        with said(caplog) as lines:
            if strict and changed:
                with pytest.raises(DataError, match=r"store\.damaged.*is damaged") as refused:
                    run(root, "error")
                assert "\n" not in str(refused.value)
                counts["refused"] += 1
            else:
                assert run(root) == expected, (number, how)
        aside = list((root / "kind").glob(f"{key}.damaged-*"))
        if not strict or not changed:
            assert len(lines) == len(aside) == changed, (number, how, lines)
            assert all("\n" not in line and aside[0].name in line for line in lines)
            counts["recomputed" if changed else "unharmed"] += 1
        shutil.rmtree(root)
    assert counts.total() == TRIED
    assert counts["recomputed"] > 500 < TRIED - counts["unharmed"]


def test_no_damage_to_a_journal_is_silent(memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = "kind/key/journal.jsonl"
    with Journal(memory / "whole", name) as journal:
        for row in ROWS:
            journal.append(row)
    whole = (memory / "whole").read_bytes()
    for number in range(TRIED):
        folder = memory / "work"
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(whole)
        how, _ = harm(folder, ["journal.jsonl"], random.Random(number))
        with said(caplog) as lines, Journal(folder / "journal.jsonl", name) as journal:
            kept = list(journal.rows)
            assert kept == ROWS[: len(kept)], (number, how)
            for row in ROWS[len(kept) :]:
                journal.append(row)
        assert (folder / "journal.jsonl").read_bytes() == whole, (number, how)
        assert len(lines) <= 1
        assert bool(lines) == any(folder.glob(".journal.jsonl.damaged-*"))
        shutil.rmtree(folder)


def test_a_journal_of_another_stage_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, "inputs/a/journal.jsonl") as journal:
        journal.append({"n": 1})
    with said(caplog) as lines, Journal(path, "inputs/b/journal.jsonl") as journal:
        assert journal.rows == []
    assert len(lines) == 1
    assert "of another stage" in lines[0]
    assert b'"n": 1' in next(tmp_path.glob(".journal.jsonl.damaged-*")).read_bytes()


def test_a_journal_without_checksums_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}\n')
    with said(caplog) as lines, Journal(path, "inputs/a/journal.jsonl") as journal:
        assert journal.rows == []
    assert len(lines) == 1


def test_journal_rows_stay_readable_json(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl", "inputs/a") as journal:
        journal.append({"text": "wörd\r\u2028 \ud800", "empty": {}})
        journal.append({})
    header, row, empty = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_bytes().split(b"\n")[:-1]]
    assert header["journal"] == "inputs/a"
    assert row["text"].startswith("wörd\r\u2028 ")
    assert set(empty) == {"crc32"}
    with Journal(tmp_path / "journal.jsonl", "inputs/a") as journal:
        assert [set(row) for row in journal.rows] == [{"text", "empty"}, set()]


def test_a_stage_that_lost_its_manifest_is_made_again(tmp_path: Path) -> None:
    expected = run(tmp_path)
    manifest = tmp_path / "kind" / fingerprint(SPEC) / "manifest.json"
    for number in (1, 2):
        manifest.unlink()
        assert run(tmp_path) == expected
        assert (tmp_path / "kind" / f"{fingerprint(SPEC)}.damaged-{number}" / "rows.jsonl").exists()
    assert Store(tmp_path).run("kind", SPEC, lambda work: pytest.fail("built again")).hit


def test_an_added_file_is_damage_and_a_hidden_one_is_not(tmp_path: Path) -> None:
    expected = run(tmp_path)
    folder = tmp_path / "kind" / fingerprint(SPEC)
    (folder / ".nfs0001").write_text("x")
    assert run(tmp_path) == expected
    assert (folder / ".nfs0001").exists()
    assert ".nfs0001" not in dict(stage_files(folder))
    (folder / "weights" / "more.safetensors").write_text("x")
    assert run(tmp_path) == expected
    assert not (folder / "weights" / "more.safetensors").exists()


def test_a_stage_under_another_key_is_not_believed(tmp_path: Path) -> None:
    expected = run(tmp_path)
    Store(tmp_path).run("kind", {"of": "another"}, lambda work: {"rows": 0})
    folder = tmp_path / "kind" / fingerprint(SPEC)
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "kind" / fingerprint({"of": "another"}), folder)
    assert run(tmp_path) == expected


def test_a_stage_of_an_earlier_version_is_served_by_its_sizes(tmp_path: Path) -> None:
    expected = run(tmp_path)
    folder = tmp_path / "kind" / fingerprint(SPEC)
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["sha256"]
    manifest["files"] = {name: entry["size"] for name, entry in manifest["files"].items()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert Store(tmp_path).run("kind", SPEC, lambda work: pytest.fail("built again")).hit
    (folder / "rows.jsonl").write_text("{}\n")
    assert run(tmp_path) == expected


def test_large_files_are_remembered_and_damage_to_them_is_seen(tmp_path: Path) -> None:
    def large(work: Path) -> None:
        (work / "weights.safetensors").write_bytes(WEIGHTS)

    Store(tmp_path).run("kind", SPEC, large)
    file = tmp_path / "kind" / fingerprint(SPEC) / "weights.safetensors"
    assert file_hash(file) == file_hash(file, fresh=True)
    assert Store(tmp_path).run("kind", SPEC, large).hit
    file.write_bytes(flip(WEIGHTS, random.Random(1)))
    assert not Store(tmp_path).run("kind", SPEC, large).hit
    assert file.read_bytes() == WEIGHTS


@pytest.mark.parametrize("linked", ["{key}.lock", "{key}", "{key}.partial", "{key}.partial/journal.jsonl", ""])
def test_links_in_the_store_are_refused(tmp_path: Path, linked: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("precious")
    link = tmp_path / "store" / "kind" / linked.format(key=fingerprint(SPEC))
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / "file" if linked.endswith(("lock", "jsonl")) else outside)
    with pytest.raises(DataError, match="symbolic link") as refused:
        run(tmp_path / "store")
    assert "\n" not in str(refused.value)
    assert [file.name for file in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "precious"


def test_a_link_in_a_finished_stage_is_damage(tmp_path: Path) -> None:
    expected = run(tmp_path / "store")
    file = tmp_path / "store" / "kind" / fingerprint(SPEC) / "rows.jsonl"
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert run(tmp_path / "store") == expected
    assert not file.is_symlink()


def test_a_partial_stage_that_is_no_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "kind").mkdir()
    (tmp_path / "kind" / f"{fingerprint(SPEC)}.partial").write_text("x")
    with pytest.raises(DataError, match="not a folder"):
        run(tmp_path)


READ = """
import os, sys
from selfguide.store import Store
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
root = sys.argv[1]
assert not os.access(root + "/kind", os.W_OK)
assert Store(root).run("kind", {"of": "a test"}, lambda work: sys.exit("built")).hit
"""


def test_a_read_only_store_serves_hits() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "store"
        run(root)
        folders = [Path(folder), root, *(path for path in root.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        try:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
            subprocess.run([sys.executable, "-c", READ, str(root)], check=True, env=environment, timeout=400)
        finally:
            for path in folders:
                path.chmod(0o755)


def checked(root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        main(["check", "--root", str(root)])
    return int(str(left.value.code)), capsys.readouterr().out


def test_check_goes_through_all_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path)
    Store(tmp_path).run("other", SPEC, build)
    code, text = checked(tmp_path, capsys)
    assert (code, text.splitlines()[-1][:32]) == (0, "2 stages whole, 0 damaged, 0 in ")
    file = tmp_path / "other" / fingerprint(SPEC) / "rows.jsonl"
    content = file.read_bytes()
    status = file.stat()
    file.write_bytes(flip(content, random.Random(3)))
    # Bits that rot leave size and time as they were.
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    work = tmp_path / "other" / "0123.partial"
    work.mkdir()
    with Journal(work / "journal.jsonl", "other/4567/journal.jsonl") as journal:
        journal.append({"n": 1})
    code, text = checked(tmp_path, capsys)
    assert code == 1
    assert f"{file.parent}: rows.jsonl" in text
    assert f"{work / 'journal.jsonl'}: " in text
    assert text.splitlines()[-1].startswith("1 stage whole, 2 damaged")
    run(tmp_path)
    Store(tmp_path).run("other", SPEC, build)
    (work / "journal.jsonl").unlink()
    code, text = checked(tmp_path, capsys)
    assert (code, text.splitlines()[-1]) == (0, "2 stages whole, 0 damaged, 1 in progress, 1 set aside")


def test_check_of_no_store_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["check", "--root", str(tmp_path / "none")])
    assert left.value.code == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["list"], ["why", "{key}", "{key}"]])
def test_the_other_commands_meet_damage_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    run(tmp_path)
    folder = tmp_path / "kind" / fingerprint(SPEC)
    for name in ("manifest.json", "spec.json"):
        (folder / name).write_bytes(b"\xff\x00{")
    with pytest.raises(SystemExit) as left:
        main(["--root", str(tmp_path), *(word.format(key=fingerprint(SPEC)) for word in command)])
        sys.exit(0)
    out = capsys.readouterr()
    assert left.value.code == (0 if command == ["list"] else 2)
    assert "damaged" in out.out + out.err
