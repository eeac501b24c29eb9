"""A full disk is one line wherever it is met; any other error stays a bug's."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from selfguide.config.disk import about_files


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may be longer than `size` bytes: acts as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_library_that_gives_the_systems_words(tmp_path: Path) -> None:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with pytest.raises(SafetensorError) as raised, full_disk(1000):
        save_file({"weight": torch.zeros(1 << 16)}, tmp_path / "full")
    assert "choose another folder" in str(about_files(raised.value)), repr(raised.value)


def test_a_copy_names_its_target(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("x" * 2000)
    with pytest.raises(shutil.Error) as raised, full_disk(1000):
        shutil.copytree(tmp_path / "from", tmp_path / "to")
    line = about_files(raised.value)
    assert line is not None and line.startswith(f"{tmp_path}/to/file: ") and "\n" not in line


def test_the_reason_may_be_wrapped() -> None:
    try:
        try:
            Path("/dev/full").write_text("x")
        except OSError as error:
            raise RuntimeError("saving failed") from error
    except RuntimeError as error:
        assert "No space left on device" in str(about_files(error))


@pytest.mark.parametrize("error", [OSError("no idea"), ValueError("x"), ConnectionResetError(104, "reset")])
def test_a_bug_stays_one(error: Exception) -> None:
    assert about_files(error) is None
