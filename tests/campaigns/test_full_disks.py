"""A run on a disk that is full ends in one line; with room again, the same command ends with the same bytes."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import cli
from tests.campaigns.scripted import write_preset
from tests.campaigns.tally import Tally
from tests.campaigns.test_kills import a_training

pytestmark = pytest.mark.slow
SIZE = 15
COMPARED = ("dataset.jsonl", "predictions.jsonl")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which `resize` makes larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("mounting a file system is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def resize(folder: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", folder], check=True)


def outputs(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in COMPARED]


def test_full_disks(tmp_path: Path, disk: Path, tally: Callable[[str, int], Tally]) -> None:
    counts = tally("full disks", SIZE)
    conf = write_preset(tmp_path / "conf")

    def command(root: Path) -> tuple[str, ...]:
        return a_training(root, conf).arguments

    whole = tmp_path / "whole"
    assert cli.run(*command(whole), cwd=tmp_path).returncode == 0
    expected = outputs(whole / "run")
    used = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file()) // 1024
    for number in range(counts.size):
        for path in disk.iterdir():
            subprocess.run(["rm", "-rf", path], check=True)
        size = 8 + used * number // counts.size
        resize(disk, size)
        done = cli.run(*command(disk), cwd=tmp_path)
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        if done.returncode == 0 and outputs(disk / "run") == expected:
            counts.unharmed += 1
            continue
        if done.returncode != 2 or len(lines) != 1 or "Traceback" in done.stderr:
            counts.defects.append(f"{size} kB: ended with {done.returncode}: {done.stderr[-500:]}")
            continue
        resize(disk, 100_000)
        again = cli.run(*command(disk), cwd=tmp_path)
        if again.returncode == 0 and outputs(disk / "run") == expected:
            counts.healed += 1
        else:
            counts.defects.append(f"{size} kB: does not go on with room again: {again.stderr[-500:]}")
