"""`make bench`: the reference's schedule and ours, side by side with engine=vllm, and against bare vLLM.

(a) as the reference code: the engine is started for generation, again for annotation, and again for
the evaluation of the base model and of each epoch; 10 prompts at a time. (b) ours with rounds: one
engine, stages in large batches, base and all epochs in one stream. (c) ours with streaming
generation. Same task, same numbers of prompts, samples and instances. The training is the same for
all, so it is done once and its time is shown apart.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from selfguide.config.paths import config_dir
from selfguide.config.schema import RunConfig, VLLMEngineConfig
from selfguide.config.store import register
from selfguide.config.validate import typed
from selfguide.store.atomic import write_json

AT_A_TIME = 10
OVERRIDES = (
    "engine=vllm", "model.dtype=float32", "generation.rounds=6", "generation.prompts_per_round=10",
    "generation.target=null", "generation.max_in_flight=32", "annotation.samples=10", "annotation.best_of=10",
    "finetuning.epochs=3", "finetuning.max_epochs=3", "evaluation.max_new_tokens=40",
)  # fmt: skip
INSTANCES = 30
SCHEDULES = ("a_reference", "b_rounds", "c_streaming")


def configuration(schedule: str, task: str) -> RunConfig:
    """The run of one schedule; the numbers are the same for all three."""
    large = ("annotation.batch=1024", "evaluation.batch=4096")
    small = (f"annotation.batch={AT_A_TIME}", f"evaluation.batch={AT_A_TIME}")
    order = "streaming" if schedule == "c_streaming" else "rounds"
    sizes = small if schedule == "a_reference" else large
    return _composed(f"task={task}", *OVERRIDES, *sizes, f"generation.schedule={order}")


def _composed(*overrides: str) -> RunConfig:
    from hydra import compose, initialize_config_dir

    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return typed(compose("config", overrides=list(overrides)))


def one_run(schedule: str, task_name: str, adapters: Sequence[Path]) -> dict[str, Any]:
    """Seconds of each stage of one run, engine starts included, and the tokens that went through."""
    from selfguide.data.load import load_task
    from selfguide.engines.vllm import VLLMEngine
    from selfguide.evaluation.contender import Contender
    from selfguide.evaluation.predict import predict
    from selfguide.finetuning.weights import weights_of
    from selfguide.models import load_prompt_tokenizer
    from selfguide.store.atomic import Journal
    from selfguide.synthesis.inputs import propose_inputs
    from selfguide.synthesis.outputs import annotate
    from selfguide.synthesis.streaming import stream_inputs

    config = configuration(schedule, task_name)
    task, gold = load_task(config.task, config.data, config.seed)
    instances = gold.open("test")[:INSTANCES]
    tokenizer = load_prompt_tokenizer(config.model)
    engine = VLLMEngine.from_config(config)
    variants = [Contender(), *(Contender(weights_of(folder, config.finetuning)) for folder in adapters)]
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[Journal], Any]) -> Any:
        start = time.perf_counter()
        with Journal(Path(folder) / f"{name}.jsonl") as journal:
            result = work(journal)
        if schedule == "a_reference":
            engine.close()
        seconds[name] = time.perf_counter() - start
        return result

    propose = stream_inputs if schedule == "c_streaming" else propose_inputs
    with tempfile.TemporaryDirectory() as folder, engine:
        inputs = timed(
            "generation",
            lambda journal: propose(
                engine, tokenizer, task, config.generation, config.filters, config.temperature.input, 0, journal
            ),
        )
        timed(
            "annotation",
            lambda journal: annotate(
                engine, tokenizer, task, inputs, config.annotation, config.temperature.output, 0, journal
            ),
        )
        groups = [[variant] for variant in variants] if schedule == "a_reference" else [variants]
        for number, group in enumerate(groups):
            timed(
                f"evaluation-{number}",
                partial(predict, engine, tokenizer, task, instances, group, config.evaluation),
            )
    return {
        "schedule": schedule,
        "seconds": seconds,
        "total": sum(seconds.values()),
        "accepted": sum(candidate.dropped is None for candidate in inputs),
        "tokens": {"prompt": engine.tokens.prompt, "generated": engine.tokens.generated},
    }


def train(task_name: str, folder: Path) -> dict[str, Any]:
    """The adapters of three epochs on the demonstrations, and how long that took."""
    from selfguide.data.load import load_task
    from selfguide.finetuning.rows import build_rows
    from selfguide.finetuning.trainer import finetune
    from selfguide.models import load_prompt_tokenizer

    config = configuration("b_rounds", task_name)
    task, _ = load_task(config.task, config.data, config.seed)
    tokenizer = load_prompt_tokenizer(config.model)
    rows = build_rows(task, task.demonstrations, tokenizer, config.finetuning, 0, leave_one_out=True).rows
    start = time.perf_counter()
    result = finetune(config, tokenizer, rows, folder, 0)
    return {"seconds": time.perf_counter() - start, "steps": result.steps}


def against_bare(task_name: str, runs: int) -> dict[str, Any]:
    """Tokens/s of our annotation and streaming generation, and of one `LLM.generate` call on the same prompts."""
    from selfguide.engines.vllm import VLLMEngine
    from selfguide.engines.vllm_process import engine_arguments, environment, reloads_in_place
    from selfguide.models import context_length

    config = configuration("c_streaming", task_name)
    environment(cast(VLLMEngineConfig, config.engine))
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    from vllm import LLM

    on_cpu = not reloads_in_place()
    llm = LLM(**engine_arguments(config, context_length(config.model), on_cpu))
    engine = VLLMEngine.from_config(config)
    engine._core = llm.llm_engine  # one running engine for both
    results: dict[str, Any] = {}
    for name, work in (("annotation", _annotation), ("streaming", _streaming)):
        ours: list[float] = []
        bare: list[float] = []
        work(engine, config)  # both then find the prompts in the prefix cache
        for _ in range(runs):
            rate, requests = work(engine, config)
            ours.append(rate)
            asked = [engine._translate.sample(request, engine._limit(request)) for request in requests]
            prompts, parameters = zip(*asked, strict=True)
            start = time.perf_counter()
            answers = llm.generate(list(prompts), list(parameters), use_tqdm=False)
            spent = time.perf_counter() - start
            bare.append(sum(len(one.token_ids) for answer in answers for one in answer.outputs) / spent)
        results[name] = {
            "ours_tokens_per_s": ours,
            "bare_tokens_per_s": bare,
            "ratio_of_medians": statistics.median(ours) / statistics.median(bare),
        }
    engine.close()
    return results


def _annotation(engine: Any, config: RunConfig) -> tuple[float, list[Any]]:
    from selfguide.data.load import load_task
    from selfguide.synthesis.candidates import Candidate
    from selfguide.synthesis.outputs import annotate

    task, gold = load_task(config.task, config.data, config.seed)
    texts = [instance.input for instance in gold.open("test")[:INSTANCES]]
    candidates = [Candidate(str(place), 0, text) for place, text in enumerate(texts)]
    return _measured(
        engine,
        lambda tokenizer, journal: annotate(
            engine, tokenizer, task, candidates, config.annotation, config.temperature.output, 0, journal
        ),
    )


def _streaming(engine: Any, config: RunConfig) -> tuple[float, list[Any]]:
    from selfguide.data.load import load_task
    from selfguide.synthesis.streaming import stream_inputs

    task, _ = load_task(config.task, config.data, config.seed)
    return _measured(
        engine,
        lambda tokenizer, journal: stream_inputs(
            engine, tokenizer, task, config.generation, config.filters, config.temperature.input, 0, journal
        ),
    )


def _measured(engine: Any, work: Callable[[Any, Any], Any]) -> tuple[float, list[Any]]:
    from selfguide.store.atomic import Journal

    asked: list[Any] = []
    submit = engine.submit

    def recording(key: int, request: Any, *more: Any, **other: Any) -> None:
        asked.append(request)
        submit(key, request, *more, **other)

    engine.submit = recording
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.jsonl") as journal:
        before, start = engine.tokens.generated, time.perf_counter()
        work(engine._tokenizer, journal)
        spent = time.perf_counter() - start
    engine.submit = submit
    return (engine.tokens.generated - before) / spent, asked


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything in child processes, in turn, and write the figures."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--task", default="micro_color_word")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("experiments/bench/micro_cpu.json"))
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.child:
        kind, *rest = asked.child
        if kind == "train":
            result = train(asked.task, Path(rest[0]))
        elif kind == "bare":
            result = against_bare(asked.task, asked.runs)
        else:
            result = one_run(kind, asked.task, [Path(path) for path in rest])
        print("RESULT " + json.dumps(result), flush=True)
        return
    with tempfile.TemporaryDirectory() as work:
        trained = _child(asked, "train", work)
        adapters = [str(Path(work) / f"epoch-{epoch}") for epoch in (1, 2, 3)]
        found: dict[str, list[dict[str, Any]]] = {schedule: [] for schedule in SCHEDULES}
        for _ in range(asked.runs):  # in turn, so that the machine's load falls on all alike
            for schedule in SCHEDULES:
                found[schedule].append(_child(asked, schedule, *adapters))
                print(f"{schedule}: {found[schedule][-1]['total']:.1f} s", flush=True)
        bare = _child(asked, "bare")
    report = summary(found, trained, bare)
    report["machine"] = machine()
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(asked.out, report)
    show(report)
    print(f"written: {asked.out}")


def _child(asked: argparse.Namespace, *what: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "selfguide.bench", "--task", asked.task, "--runs", str(asked.runs)]
    done = subprocess.run([*command, "--child", *what], capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
            return result
    sys.exit(f"bench: {what[0]} failed:\n{done.stderr[-3000:]}")


def summary(
    found: dict[str, list[dict[str, Any]]], trained: dict[str, Any], bare: dict[str, Any]
) -> dict[str, Any]:
    """Medians and ratios; every single run beside them."""
    medians = {schedule: statistics.median(run["total"] for run in runs) for schedule, runs in found.items()}
    reference, training = medians["a_reference"], trained["seconds"]
    return {
        "median_seconds": medians,
        "faster_than_reference": {schedule: reference / seconds for schedule, seconds in medians.items()},
        "faster_with_training": {
            schedule: (reference + training) / (seconds + training) for schedule, seconds in medians.items()
        },
        "training": trained,
        "against_bare_vllm": bare,
        "runs": found,
    }


def machine() -> dict[str, Any]:
    """Where and with what this was measured."""
    from importlib.metadata import version

    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "transformers", "peft")},
        "vllm": __import__("vllm").__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


def show(report: dict[str, Any]) -> None:
    """The table."""
    print(f"{'schedule':<14}{'median s':>10}{'x faster':>10}{'with training':>15}")
    for schedule, seconds in report["median_seconds"].items():
        ratio, whole = report["faster_than_reference"][schedule], report["faster_with_training"][schedule]
        print(f"{schedule:<14}{seconds:>10.1f}{ratio:>10.2f}{whole:>15.2f}")
    for name, rates in report["against_bare_vllm"].items():
        ours, bare = (statistics.median(rates[key]) for key in ("ours_tokens_per_s", "bare_tokens_per_s"))
        print(f"{name}: {ours:.0f} tokens/s, bare vLLM {bare:.0f} ({rates['ratio_of_medians']:.2f})")


if __name__ == "__main__":
    main()
