"""`python -m benchmarks.scale [SIZES …]`: all bookkeeping from judge to report over the number of candidates.

Seconds of processor time and peak memory, without a model: texts of 20 to 60 words, drawn by Zipf's law from 5,000
words, one in fifty a copy of an earlier one with a few words changed; 20 samples each; 1,000 evaluation instances.
`near-duplicates` is what `filters.near_duplicates=0.7` adds, which is off by default. Each size runs in a process of
its own. `experiments/bench/scale.md` is what it printed.
"""

import io
import itertools
import multiprocessing
import os
import platform
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

if TYPE_CHECKING:
    from selfguide.analysis.folder import RunFolder

T = TypeVar("T")
SIZES = (1_000, 10_000, 100_000)
INSTANCES = 1000
WORDS = 5000
SAMPLES = 20
NEAR = 0.7
NEAR_UP_TO = 100_000
"""Candidates up to which `near-duplicates` is measured: its time grows faster than the others'."""


class Steps:
    """Seconds of processor time by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, work: Callable[[], T]) -> T:
        """What `work` returns."""
        start = time.process_time()
        made = work()
        self.seconds[name] = time.process_time() - start
        return made


def texts(count: int) -> Iterator[str]:
    """The same ones for every size, as many as asked for."""
    draw = random.Random(0)
    words = [f"w{index}" for index in range(WORDS)]
    weights = list(itertools.accumulate(1 / (index + 1) for index in range(WORDS)))
    earlier: list[list[str]] = []
    for number in range(count):
        if number % 50 == 49:
            text = list(draw.choice(earlier))
            for _ in range(3):
                text[draw.randrange(len(text))] = draw.choice(words)
        else:
            text = draw.choices(words, cum_weights=weights, k=draw.randint(20, 60))
        if number < 1000:
            earlier.append(text)
        yield " ".join(text)


def measure(size: int) -> tuple[dict[str, float], float]:
    """Seconds by step and the peak of memory, in GB, for `size` candidates."""
    from selfguide.analysis.folder import RunFolder
    from selfguide.analysis.html import write_report
    from selfguide.core.files import read_jsonl, write_jsonl

    steps = Steps()
    with tempfile.TemporaryDirectory() as name:
        folder = small_run(Path(name))
        gold = list(itertools.islice(texts(size + INSTANCES), size, None))
        synthesize(steps, RunFolder.open(folder), size, gold)
        row = next(read_jsonl(folder / "predictions.jsonl"))
        more = ({**row, "id": str(n), "input": text, "tuned_score": n % 2} for n, text in enumerate(gold))
        write_jsonl(folder / "predictions.jsonl", more)
        steps.time("report", lambda: write_report(folder))
    return steps.seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def synthesize(steps: Steps, run: "RunFolder", size: int, gold: Sequence[str]) -> None:
    """From texts to the files of a run: judge, vote, composition, overlap with gold, and all of it written."""
    from selfguide.core.files import write_jsonl
    from selfguide.prompts.selfguide import InputPrompt
    from selfguide.synthesis.candidates import Candidate, Sample
    from selfguide.synthesis.dataset import compose
    from selfguide.synthesis.judge import Repetitions, input_judge
    from selfguide.synthesis.proposals import ProposalRequest
    from selfguide.synthesis.vote import elect
    from selfguide.tasks.overlap import OverlapIndex

    task, config, draw = run.task, run.config, random.Random(1)
    filters = replace(config.filters, input_length="off", output_length="off", near_duplicates=None)
    judge, request = (
        input_judge(task, filters),
        ProposalRequest("0", InputPrompt(task.instruction, task.demonstrations)),
    )

    def judged(number: int, text: str) -> Candidate:
        label = task.labels[number % len(task.labels)]
        return judge.judge(Candidate(f"{number // 10}-{number % 10}", number // 10, text, label), request)

    def answered(candidate: Candidate) -> Candidate:
        if candidate.dropped is not None:
            return candidate
        return replace(
            candidate, samples=tuple(Sample(draw.choice(task.labels), -draw.random()) for _ in range(SAMPLES))
        )

    def similar() -> int:
        repetitions, found = Repetitions([], NEAR), 0
        for text in texts(size):
            if repetitions.near_reason(text) is None:
                repetitions.compare(text)
            else:
                found += 1
        return found

    made = steps.time("judge", lambda: [judged(number, text) for number, text in enumerate(texts(size))])
    if size <= NEAR_UP_TO:
        steps.time("near-duplicates", similar)
    made = list(map(answered, made))
    elected = steps.time("vote", lambda: elect(task, made, config.annotation, filters))
    made.clear()
    pairs, marked = steps.time("compose", lambda: compose(task, elected, config.annotation, 0))
    steps.time("overlap", lambda: OverlapIndex(gold).find([pair.input for pair in pairs]))
    write_jsonl(run.path / "dataset.jsonl", ({"input": pair.input, "output": pair.output} for pair in pairs))
    steps.time("write", lambda: write_jsonl(run.path / "candidates.jsonl", (c.to_row() for c in marked)))


def small_run(folder: Path) -> Path:
    """The folder of a run of seconds without training, whose rows are then replaced."""
    from hydra import compose, initialize_config_dir

    from selfguide.config.groups import register
    from selfguide.config.validate import typed
    from selfguide.core.console import Terminal
    from selfguide.core.paths import config_dir
    from selfguide.pipeline import run

    register()
    few = ["task=micro_fruit_or_tool", "synthesis=smoke", "finetuning=none", "evaluation.limit=4", "tracking=none"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("config", overrides=[*few, f"store.root={folder / 'store'}"])
    run(typed(config), folder / "run", Terminal(Console(file=io.StringIO())))
    return folder / "run"


def table(measured: dict[int, tuple[dict[str, float], float]]) -> Iterator[str]:
    """Lines of a Markdown table, a row for each size."""
    steps = list(next(iter(measured.values()))[0])
    yield f"| candidates | {' | '.join(steps)} | all others, s | growth | peak, GB |"
    yield "|---:" * (len(steps) + 4) + "|"
    before: tuple[int, float] | None = None
    for size, (seconds, peak) in measured.items():
        total = sum(taken for step, taken in seconds.items() if step != "near-duplicates")
        growth = "" if before is None else f"{(total / before[1]) / (size / before[0]):.2f}"
        cells = [f"{seconds[step]:.1f}" if step in seconds else "not measured" for step in steps]
        yield f"| {size:,} | {' | '.join(cells)} | {total:.1f} | {growth} | {peak:.2f} |"
        before = (size, total)


def main() -> None:
    """Print the table; one size after another."""
    sizes = [int(float(size)) for size in sys.argv[1:]] or list(SIZES)
    measured: dict[int, Any] = {}
    for size in sizes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            measured[size] = pool.apply(measure, (size,))
        print(f"{size:,}: {measured[size]}", file=sys.stderr, flush=True)
    date, cores = datetime.now(UTC).date().isoformat(), os.cpu_count()
    print(f"{date}, {platform.processor() or platform.machine()}, {cores} cores, Python {platform.python_version()}; ")
    print("seconds of processor time of one process; growth: of the time, over that of the candidates (1 is linear).\n")
    print("\n".join(table(measured)))


if __name__ == "__main__":
    main()
