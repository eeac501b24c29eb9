"""`python -m benchmarks.cluster [--cells 40] [--slots 4] [--kill] [--launcher ray]`: how busy a table keeps its slots.

A table on the bundled model, over Ray with so many logical GPUs on this machine (no GPU is needed). Printed: a line for
each slot (█ at work, w waiting for a stage that another makes, · idle), the share of the slots' time at work from the
first job's start to the last one's end, and engines started. With `--kill` a worker is killed after a quarter of the
cells, and the command itself after half of them; the table then goes on, and every finished stage has to stand.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import yaml
from filelock import FileLock
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

WIDTH = 100
TASKS = ("micro_barn_or_garage", "micro_color_word", "micro_paint_or_stuff", "micro_find_food")
ROWS = {
    "few_shot_icl": ["method=few_shot_icl"],
    "few_shot_finetune": ["method=few_shot_finetune"],
    "selfguide": ["method=selfguide"],
    "selfguide_epochs": ["method=selfguide", "finetuning.epochs=2"],
    "selfguide_outputs": ["method=selfguide", "temperature.output=0.4"],
}
SMALL = (
    "synthesis=smoke", "filters.input_length=off", "annotation.min_share=0.1", "evaluation.limit=8",
    "evaluation.max_new_tokens=8", "evaluation.controls=false", "evaluation.bootstrap=100", "finetuning.epochs=1",
    "finetuning.max_epochs=2",
)  # fmt: skip


class Trace(Callback):
    """Around each job, in its worker: a line for its start, and one for its end."""

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_job_start(self, config: DictConfig, **kwargs: Any) -> None:
        """See `Callback.on_job_start`."""
        if OmegaConf.is_missing(config.hydra.job, "num"):
            return  # the command itself
        from selfguide.store import cache

        cache.FileLock = WaitedFor  # type: ignore[attr-defined]
        WaitedFor.spans.clear()
        self._say(start=time.time())

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """See `Callback.on_job_end`."""
        if OmegaConf.is_missing(config.hydra.job, "num"):
            return
        from selfguide.models.pool import warm_pool

        self._say(end=time.time(), engines=warm_pool().starts, waits=WaitedFor.spans)

    def _say(self, **said: Any) -> None:
        with self.file.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"pid": os.getpid(), **said}) + "\n")


class WaitedFor(FileLock):
    """The store's lock, which says when it was waited for."""

    spans: list[tuple[float, float]] = []  # noqa: RUF012

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        """See `FileLock.acquire`."""
        start = time.time()
        acquired = super().acquire(*args, **kwargs)
        if time.time() - start > 0.05:
            self.spans.append((start, time.time()))
        return acquired


class Table:
    """The table in a folder of its own, and its command; at least `cells` runs of these rows and tasks."""

    def __init__(
        self, folder: Path, cells: int, slots: int, launcher: str = "ray", rows: Sequence[str] = tuple(ROWS),
        tasks: Sequence[str] = TASKS,
    ) -> None:  # fmt: skip
        self.folder, self.slots = folder, slots
        seeds = list(range(-(-cells // (len(rows) * len(tasks)))))
        table = {
            "name": "cluster", "title": "Cluster", "runs": str(folder / "runs"), "output": str(folder / "out"),
            "rows": {name: {"label": name, "overrides": ROWS[name]} for name in rows},
            "sizes": {"micro": {
                "seeds": seeds, "overrides": [*SMALL, f"store.root={folder / 'store'}"],
                "groups": {"all": {"label": "all", "tasks": list(tasks)}},
            }},
        }  # fmt: skip
        self.cells = len(seeds) * len(rows) * len(tasks)
        (folder / "conf" / "table").mkdir(parents=True)
        text = "# @package _global_\n" + yaml.safe_dump(table, sort_keys=False)
        (folder / "conf" / "table" / "cluster.yaml").write_text(text, encoding="utf-8")
        trace = "+hydra.callbacks.trace"
        room = {
            "ray": [f"+hydra.launcher.ray.init.{name}={slots}" for name in ("num_gpus", "num_cpus")],
            "gpus": [f"hydra.launcher.gpus={list(range(slots))}".replace(" ", "")],
        }[launcher]
        self.command = [
            sys.executable, "-m", "selfguide.main", "table", "--config-dir", str(folder / "conf"), "+table=cluster",
            f"hydra/launcher={launcher}", *room, f"{trace}._target_=benchmarks.cluster.Trace",
            f"{trace}.file={folder / 'trace.jsonl'}",
        ]  # fmt: skip

    def start(self) -> "subprocess.Popen[bytes]":
        """The command, under way."""
        return subprocess.Popen(
            self.command, stdout=(self.folder / "said").open("ab"), stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def lines(self) -> list[dict[str, Any]]:
        """The trace so far."""
        file = self.folder / "trace.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def standing(self) -> dict[str, int]:
        """Finished stages and runs, with the time of each; a stage that is made again has another."""
        files = [*self.folder.glob("store/*/*/manifest.json"), *self.folder.glob("runs/*/*/result.json")]
        return {str(file): file.stat().st_mtime_ns for file in files}

    def until(self, ended: int, process: "subprocess.Popen[bytes]") -> None:
        """Wait for so many jobs to end."""
        while sum("end" in line for line in self.lines()) < ended:
            if process.poll() is not None:
                raise SystemExit((self.folder / "said").read_text())
            time.sleep(0.2)


def main() -> None:
    """Run, print; leaves with 1 where a cell or a stage was lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster")
    parser.add_argument("--cells", type=int, default=40)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--launcher", choices=("ray", "gpus"), default="ray")
    parser.add_argument("--kill", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        table = Table(Path(name), given.cells, given.slots, given.launcher)
        date = datetime.now(UTC).date().isoformat()
        print(f"{date}, {platform.machine()}, {os.cpu_count()} cores; {table.cells} cells, {given.slots} slots")
        lost = killed(table) if given.kill else 0
        before, process = os.times(), table.start()
        code = process.wait()
        after = os.times()
        finished = len(list(table.folder.glob("runs/*/*/result.json")))
        if not given.kill:
            print("\n".join(report(table.lines(), given.slots)))
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        print(f"{finished} of {table.cells} cells finished; the command's own CPU time {cpu:.0f} s")
        if code or finished < table.cells or lost:
            raise SystemExit((table.folder / "said").read_text()[-2000:])


def killed(table: Table) -> int:
    """Kill a worker, then the command; what was finished and does not stand afterwards."""
    process = table.start()
    table.until(table.cells // 4, process)
    os.kill(table.lines()[-1]["pid"], signal.SIGKILL)
    print(f"a worker killed after {len(list(table.folder.glob('runs/*/*/result.json')))} cells")
    table.until(table.cells // 2, process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    psutil.wait_procs(family, timeout=120)  # they notice; what they finish meanwhile counts
    standing = table.standing()
    print(f"the command killed with {len(standing)} finished stages and runs")
    again = table.start()
    if again.wait():
        raise SystemExit((table.folder / "said").read_text()[-2000:])
    now = table.standing()
    lost = sum(now.get(file) != when for file, when in standing.items())
    print(f"started again: {lost} of them lost or made again; {len(now)} at the end")
    return lost


def report(lines: list[dict[str, Any]], slots: int) -> list[str]:
    """A line for each slot, and the figures."""
    jobs: dict[int, list[tuple[float, float, list[list[float]]]]] = defaultdict(list)
    begun: dict[int, float] = {}
    engines: dict[int, int] = {}
    for line in lines:
        if "start" in line:
            begun[line["pid"]] = line["start"]
        else:
            jobs[line["pid"]].append((begun.pop(line["pid"]), line["end"], line["waits"]))
            engines[line["pid"]] = line["engines"]
    everything = [job for some in jobs.values() for job in some]
    first, last = min(job[0] for job in everything), max(job[1] for job in everything)
    step = (last - first) / WIDTH
    said = []
    for pid, some in jobs.items():
        trace = ["·"] * WIDTH
        for start, end, waits in some:
            for sign, (left, right) in (("█", (start, end)), *(("w", (wait[0], wait[1])) for wait in waits)):
                for index in range(WIDTH):
                    if left <= first + (index + 0.5) * step < right:
                        trace[index] = sign
        said.append(f"{''.join(trace)} {len(some)} jobs, {engines[pid]} engine(s) started")
    waited = sum(right - left for job in everything for left, right in job[2])
    busy = sum(end - start for start, end, _ in everything) - waited
    said.append(
        f"{len(everything)} jobs in {last - first:.0f} s; at work {busy / (slots * (last - first)):.1%}, waiting for a "
        f"stage {waited / (slots * (last - first)):.1%}; {sum(engines.values())} engines started on {len(jobs)} slots"
    )
    return said


if __name__ == "__main__":
    main()
