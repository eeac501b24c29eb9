"""`finetuning.processes: N`: the same training in N processes on this machine, one device each.

The job is left in the work folder, torchrun starts N workers on it, and accelerate (through
transformers.Trainer) shares every global batch among them. The workers end when their parent does.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from filelock import FileLock, Timeout

from selfguide.config.schema import FinetuningConfig
from selfguide.core.errors import ConfigError, TrainingError
from selfguide.models.loading import pick_device
from selfguide.training.job import TrainingJob, TrainingProgress

POLL_S = 0.2
LOCK_S = 60.0
"""How long a training waits for what a killed one left running: its processes end within moments."""
PARENT = "SELFGUIDE_TRAINING_PARENT"
"""Environment variable: the id of the process without which a worker has nothing to work for."""
PR_SET_PDEATHSIG = 1


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


def exit_together() -> NoReturn:
    """End this process once all of them are done and everything is on disk.

    Without Python's way out: torch's threads of a gloo group may still run then, and abort the process.
    """
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def die_with_parent() -> None:
    """Have the kernel kill this process when the process that `PARENT` names ends (Linux; elsewhere no effect)."""
    if sys.platform != "linux" or PARENT not in os.environ:
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(os.environ[PARENT]):  # it ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


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


def launch(job: TrainingJob, done: int, progress: TrainingProgress | None) -> None:
    """Run the job in `finetuning.processes` workers and wait; `done` steps are in its file of losses already."""
    job.write()
    environment = {**os.environ, PARENT: str(os.getpid())}
    if pick_device(getattr(job.config.engine, "device", "auto")) == "cpu":
        environment |= {"ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"}
    log = job.work / "workers.log"
    command = [sys.executable, "-m", "selfguide.training.distributed", str(job.settings.processes), str(job.work)]
    with log.open("w", encoding="utf-8") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output, env=environment, process_group=0)
        try:
            while running.poll() is None:
                time.sleep(POLL_S)
                done = _report_steps(job.losses, done, progress)
        except BaseException:
            os.killpg(running.pid, signal.SIGTERM)
            running.wait()
            raise
    _report_steps(job.losses, done, progress)
    if running.returncode != 0:
        raise TrainingError(f"a training process failed: {_reason(log)} (all of it: {log})")
    log.unlink()
    job.remove_files()


def torchrun(processes: str, work: str) -> None:
    """This process as torchrun: `processes` workers on the job in `work`. It and they end with whoever started it."""
    die_with_parent()
    os.environ[PARENT] = str(os.getpid())
    from torch.distributed.run import main

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ["--nnodes=1", f"--nproc-per-node={processes}", "--master-addr=127.0.0.1", f"--master-port={port}"]
    main([*where, "-m", "selfguide.training.worker", work])


def _report_steps(losses: Path, done: int, progress: TrainingProgress | None) -> int:
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


if __name__ == "__main__":
    torchrun(*sys.argv[1:])
