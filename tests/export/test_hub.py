"""Uploads happen only when asked, to the right repositories, and fail in one line. A loopback server is the hub."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import cli
from tests.export import hub_server
from tests.export.runs import run_with_adapter


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_with_adapter(tmp_path_factory.mktemp("hub"))


def export(cwd: Path, address: str, *arguments: str, token: str = hub_server.TOKEN) -> subprocess.CompletedProcess[str]:
    environment = {
        "HF_ENDPOINT": address, "HF_TOKEN": token, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    return cli.run("selfguide.main", "export", *arguments, cwd=cwd, environment=environment, before=import_the_hub_anew)


def import_the_hub_anew() -> None:
    """Its library reads the variables when it is imported."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "huggingface_hub"]:
        del sys.modules[name]


def test_both_repositories_arrive_whole(run: Path, tmp_path: Path) -> None:
    with hub_server.serving() as hub:
        done = export(tmp_path, hub.address, f"run={run}", f"to={tmp_path / 'out'}", "push_to_hub=me/color")
    assert done.returncode == 0, done.stderr
    created = {(made.get("type", "model"), made["name"]) for made in hub.created}
    assert created == {("dataset", "color"), ("model", "color")}
    assert all(made.get("private") or made.get("visibility") == "private" for made in hub.created)
    for kind, folder in (("dataset", "dataset"), ("model", "adapter")):
        local = {path.name: path.read_bytes() for path in (tmp_path / "out" / folder).iterdir()}
        assert hub.files[kind, "me/color"] == local
    assert "/datasets/me/color" in done.stdout
    assert hub_server.TOKEN not in done.stdout + done.stderr


def test_without_the_flag_nothing_is_sent(run: Path, tmp_path: Path) -> None:
    with hub_server.serving() as hub:
        done = export(tmp_path, hub.address, f"run={run}", f"to={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert (hub.created, hub.files) == ([], {})


def test_a_refusal_is_one_line(run: Path, tmp_path: Path) -> None:
    with hub_server.serving() as hub:
        done = export(
            tmp_path, hub.address, f"run={run}", f"to={tmp_path / 'out'}", "push_to_hub=me/color", token="hf_wrong"
        )
        bad = export(tmp_path, hub.address, f"run={run}", f"to={tmp_path / 'out'}", "push_to_hub=no-owner")
    assert done.returncode == bad.returncode == 2
    assert "push_to_hub: the hub refused me/color" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "allowed: owner/name" in bad.stderr
    assert "hf_wrong" not in done.stdout + done.stderr


def test_no_network_is_one_line(run: Path, tmp_path: Path) -> None:
    words = (f"run={run}", f"to={tmp_path / 'out'}", "push_to_hub=me/color", "weights=none")
    done = export(tmp_path, "http://127.0.0.1:1", *words)
    assert done.returncode == 2
    assert "push_to_hub: the hub cannot be reached" in done.stderr and "is complete" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
