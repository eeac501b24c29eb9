"""`finetuning.processes: N`: the same training in N processes on this machine, one device each.

`selfguide.core.child` forks them, and accelerate (through transformers.Trainer) shares every global batch among them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from selfguide.config.schema import FinetuningConfig
from selfguide.core.errors import ConfigError, TrainingError

LOCK_S = 60.0
"""How long a training waits for what a killed one left running: its processes end within moments."""


def process_count() -> int:
    """How many processes this training runs in; 1 outside of a launch."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def broadcast(value: bool) -> bool:
    """The first process's value, in all: clocks differ, and a checkpoint is written together."""
    if process_count() == 1:
        return value
    import torch

    device = "cpu" if torch.distributed.get_backend() == "gloo" else "cuda"
    flag = torch.tensor([int(value)], device=device)
    torch.distributed.broadcast(flag, 0)
    return bool(flag.item())


def barrier() -> None:
    """Wait until every process has come here."""
    if process_count() > 1:
        import torch

        torch.distributed.barrier()


def prepare_process(device: str) -> str:
    """The device of this process, one of several that share a training on `device`."""
    import torch

    if process_count() == 1:
        return device
    if device.startswith("cuda"):
        return f"cuda:{os.environ['LOCAL_RANK']}"
    os.environ |= {"ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))
    return device


def leave_group() -> None:
    """Wait until all processes are done and everything is on disk."""
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


@contextmanager
def sole_writer(work: Path) -> Iterator[None]:
    """Hold the lock of a work folder while this process writes in it.

    Only the first of several processes takes it. Raises `TrainingError` if another training keeps it.
    """
    if not is_first():
        yield
        return
    path = work.with_name(f".{work.name}.writer.lock")
    try:
        with FileLock(path, timeout=LOCK_S):
            yield
            path.unlink(missing_ok=True)
    except Timeout:
        raise TrainingError(f"{work}: another training has been writing in this folder for {LOCK_S:.0f} s") from None


def check_processes(settings: FinetuningConfig, device: str) -> None:
    """Raises `ConfigError` where N processes cannot share a batch, or a device."""
    import torch

    if settings.batch_size % settings.processes:
        raise ConfigError(
            f"finetuning.processes: {settings.processes} does not divide finetuning.batch_size={settings.batch_size}"
        )
    if device.startswith("cuda") and torch.cuda.device_count() < settings.processes:
        raise ConfigError(
            f"finetuning.processes: {settings.processes}, but this machine has {torch.cuda.device_count()} GPUs "
            f"(allowed: 1 to {torch.cuda.device_count()})"
        )
