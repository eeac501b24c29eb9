"""`finetuning.processes: N`: the same training in N processes on this machine, one device each.

The rows and settings are left in the work folder, torchrun starts N workers on it, and accelerate
(through transformers.Trainer) shares every global batch among them.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from selfguide.config.schema import FinetuningConfig, RunConfig
from selfguide.core.errors import ConfigError, TrainingError
from selfguide.models.loading import pick_device
from selfguide.training.rows import TrainingRow
from selfguide.training.worker import write_job

if TYPE_CHECKING:
    from selfguide.training.trainer import TrainingProgress

POLL_S = 0.2


def workers() -> int:
    """How many processes this training runs in; 1 outside of a launch."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def agreed(wish: bool) -> bool:
    """The first process's wish, for all: clocks differ, and a checkpoint is written together."""
    if workers() == 1:
        return wish
    import torch

    device = "cpu" if torch.distributed.get_backend() == "gloo" else "cuda"
    flag = torch.tensor([int(wish)], device=device)
    torch.distributed.broadcast(flag, 0)
    return bool(flag.item())


def wait_for_all() -> None:
    """Every process has come here."""
    if workers() > 1:
        import torch

        torch.distributed.barrier()


def leave() -> NoReturn:
    """End this process, once all of them are done and everything is on disk.

    Without Python's way out: torch's threads of a gloo group may still run then, and abort the process.
    """
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


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


def launch(
    config: RunConfig,
    rows: Sequence[TrainingRow],
    work: Path,
    seed: int,
    losses: Path,
    done: int,
    progress: "TrainingProgress | None",
) -> None:
    """Run the training in `finetuning.processes` workers and wait; `done` steps are already in `losses`."""
    device = pick_device(getattr(config.engine, "device", "auto"))
    write_job(work, config, rows, seed)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nnodes=1", f"--nproc-per-node={config.finetuning.processes}",
        "--master-addr=127.0.0.1", f"--master-port={_free_port()}", "-m", "selfguide.training.worker", str(work),
    ]  # fmt: skip
    environment = dict(os.environ)
    if device == "cpu":
        environment |= {"ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}
    log = work / "workers.log"
    with log.open("w", encoding="utf-8") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, env=environment, process_group=0)
        try:
            while running.poll() is None:
                time.sleep(POLL_S)
                done = _tell(losses, done, progress)
        except BaseException:
            os.killpg(running.pid, signal.SIGTERM)
            running.wait()
            raise
    _tell(losses, done, progress)
    if running.returncode != 0:
        raise TrainingError(f"a training process failed: {_reason(log)} (all of it: {log})")
    log.unlink()
    for name in ("job.json", "rows.jsonl"):
        (work / name).unlink()


def _tell(losses: Path, done: int, progress: "TrainingProgress | None") -> int:
    steps = len(losses.read_text(encoding="utf-8").splitlines()) if losses.exists() else 0
    if progress is not None and steps > done:
        progress.advance(steps - done)
    return max(steps, done)


def _reason(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    errors = [line for line in lines if "Error: " in line and "ChildFailedError" not in line]
    errors += [line for line in lines if line.startswith("terminate called")]
    # One that died without a word: torchrun's report ends with who was first.
    signals = [line.partition(": ")[2] for line in lines if line.startswith("traceback : Signal")][-1:]
    return (errors or signals or [line for line in lines if line] or ["no output"])[0][-300:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
