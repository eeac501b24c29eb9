"""Downloads against a real server that truncates, corrupts, stalls, drops and refuses."""

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from selfguide.core.errors import ConfigError, DataError
from selfguide.tasks.download import download, manifest, task_file
from selfguide.tasks.load import load_task
from tests.shared_data import shared
from tests.tasks.configs import data_config, sni_task
from tests.tasks.server import serving

BODY = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(BODY).hexdigest()
DOCUMENT = {
    "Definition": ["Do."],
    "Positive Examples": [{"input": "a", "output": "b"}],
    "Instances": [{"input": f"i{i}", "output": [f"o{i}"]} for i in range(20)],
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfguide.tasks.download.FIRST_PAUSE_S", 0.01)


def get(url: str, target: Path, retries: int = 3, sha256: str | None = SHA256) -> None:
    download(url, target, sha256, data_config(timeout_s=0.3, retries=retries))


def leftovers(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir() if path != target)


def test_whole(tmp_path: Path) -> None:
    with serving({"f": BODY}) as server:
        get(f"{server.url}/f", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert leftovers(tmp_path / "f") == []


@pytest.mark.parametrize("fault", ["drop", "503", "429", "corrupt", "stall"])
def test_tries_again(tmp_path: Path, fault: str) -> None:
    with serving({"f": BODY}, ["truncate", fault]) as server:
        get(f"{server.url}/f", tmp_path / "f")
    assert (tmp_path / "f").read_bytes() == BODY
    assert leftovers(tmp_path / "f") == []


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (["404"], r"/f: not found \(404\); check task\.id and data\.url"),
        (["403"], r"/f: the server answered 403; check data\.url"),
        (["corrupt"] * 2, r"/f: corrupt: its SHA-256 is not [0-9a-f]{64} \(gave up after 2 tries\)"),
        (["stall"] * 2, r"/f: stalled: nothing arrived for 0\.3 s \(gave up after 2 tries\)"),
        (["drop"] * 2, r"/f: failed: .*\(gave up after 2 tries\)"),
        (["truncate"] * 2, r"/f: failed: .*\(gave up after 2 tries\)"),
        (["500"] * 2, r"/f: the server answered 500 \(gave up"),
    ],
)
def test_one_clear_line(tmp_path: Path, faults: list[str], message: str) -> None:
    with serving({"f": BODY}, faults) as server, pytest.raises(DataError, match=message) as error:
        get(f"{server.url}/f", tmp_path / "f", retries=1)
    assert "\n" not in str(error.value)
    assert leftovers(tmp_path / "f") == []
    assert not (tmp_path / "f").exists()


def test_nobody_there(tmp_path: Path) -> None:
    with serving({}) as server:
        url = server.url
    with pytest.raises(DataError, match=r"failed: .*refused"):
        get(f"{url}/f", tmp_path / "f", retries=0)
    with pytest.raises(DataError, match=r"is not an http\(s\) address; for a local folder set data\.root"):
        get("/some/folder/f", tmp_path / "f")


def config(server_url: str, cache: Path, **changes: Any) -> Any:
    return data_config(cache=str(cache), url=f"{server_url}/", **changes)


def test_other_tasks_are_found_in_the_list(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    listing = "`task1344_glue`\t| x\n`task119_a` | y\n`task119_b` | z\n"
    files = {"README.md": listing.encode(), "task1344_glue.json": json.dumps(DOCUMENT).encode()}
    with serving(files) as server:
        data = config(server.url, tmp_path)
        spec, gold = load_task(sni_task("task1344"), data, 0)
        assert (spec.name, gold.count("test")) == ("task1344", 18)
        assert "its SHA-256 is not known" in caplog.text
        asked = len(server.requests)
        load_task(sni_task("task1344_glue"), data, 0)
        assert len(server.requests) == asked
        with pytest.raises(DataError, match=r"several tasks are called task119; write one of: task119_a, task119_b"):
            task_file("task119", data)
        with pytest.raises(DataError, match=r"task5 is not in the list of tasks"):
            task_file("task5", data)
        with pytest.raises(DataError, match=r"task7_x\.json: not found \(404\)"):
            task_file("task7_x", data)


def test_a_list_names_no_file_elsewhere(tmp_path: Path) -> None:
    listing = "`task9_../../escaped`\t| x\n`task9_a/b` | y\n"
    with serving({"README.md": listing.encode()}) as server, pytest.raises(DataError, match="not in the list of tasks"):
        task_file("task9", config(server.url, tmp_path / "cache"))


def test_a_pinned_file_must_be_the_pinned_one(tmp_path: Path) -> None:
    name = manifest()["task190"][0]
    with serving({name: b"{}"}) as server, pytest.raises(DataError, match="corrupt: its SHA-256"):
        task_file("task190", config(server.url, tmp_path))
    assert not (tmp_path / name).exists()


def test_a_real_file_and_a_damaged_cache(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = manifest()["task1562"][0]
    body = shared("sni", "tasks", name).read_bytes()
    with serving({name: body}) as server, caplog.at_level(logging.INFO):
        data = config(server.url, tmp_path)
        assert load_task(sni_task("task1562"), data, 0)[1].count("test") == 128
        (tmp_path / name).write_bytes(body[:-1])
        assert load_task(sni_task("task1562"), data, 0)[1].count("test") == 128
        load_task(sni_task("task1562"), data, 0)
    assert len(server.requests) == 2
    assert "the cached file is damaged" in caplog.text


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"data\.cache: .* cannot be made"):
        task_file("task190", data_config(cache=str(tmp_path / "file" / "sub")))


CHILD = """
import sys
from selfguide.tasks.download import task_file
from tests.tasks.configs import data_config
print(task_file("task9_x", data_config(cache=sys.argv[1], url=sys.argv[2], timeout_s=10)))
"""


def test_two_processes_download_once(tmp_path: Path) -> None:
    with serving({"task9_x.json": json.dumps(DOCUMENT).encode()}) as server:
        server.slow_s = 0.5
        command = [sys.executable, "-c", CHILD, str(tmp_path), server.url]
        root = Path(__file__).parent.parent.parent
        children = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        paths = {child.communicate(timeout=400)[0].strip() for child in children}
    assert paths == {str(tmp_path / "task9_x.json")}
    assert server.requests == ["/task9_x.json"]
