"""One run of one schedule: the same task, prompts, samples and instances for all of them.

a_tens       an engine for generation, another for annotation, another for the base model and for each
             epoch's evaluation; 10 prompts at a time throughout
a_reference  as the reference code: the same engines; 10 prompts at a time in generation only, one call for
             the whole annotation and for each evaluation
a_same       as a_tens, but with our engine settings; the other two run with vLLM's own, as the reference does
b_rounds     ours: one engine, batches as by default, base and all epochs in one stream; generation in rounds of 10
c_streaming  ours, with `generation.schedule=streaming`
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from selfguide.config.family import input_temperature
from selfguide.config.groups import register
from selfguide.config.schema import RunConfig
from selfguide.config.validate import typed
from selfguide.core.paths import config_dir
from selfguide.models.vllm import VLLMEngine

REFERENCES = ("a_tens", "a_reference", "a_same")
SCHEDULES = (*REFERENCES, "b_rounds", "c_streaming")
AT_A_TIME = 10
WHOLE = 4096  # more than there are: one call
# The paper's numbers of rounds, prompts, samples and epochs; lengths are those of the bundled model's texts.
OVERRIDES = (
    "engine=vllm", "generation.rounds=40", f"generation.prompts_per_round={AT_A_TIME}",
    "generation.target=null", "generation.max_in_flight=64", "annotation.samples=10", "annotation.best_of=20",
    "finetuning.epochs=3", "finetuning.max_epochs=3", "evaluation.max_new_tokens=40",
    "evaluation.limit=100",
)  # fmt: skip
# What vLLM 0.32 takes without a GPU if it is told nothing.
VLLM_DEFAULTS = ("engine.batch_tokens=4096", "engine.block_tokens=128")


def configuration(schedule: str, task: str, overrides: Sequence[str] = ()) -> RunConfig:
    """The run of one schedule. `overrides` are the same for all of them."""
    from selfguide.models.loading import pick_device

    size = {"a_tens": AT_A_TIME, "a_same": AT_A_TIME, "a_reference": WHOLE}.get(schedule)
    # On a GPU our engine settings are vLLM's own.
    engine = VLLM_DEFAULTS if schedule in ("a_tens", "a_reference") and pick_device("auto") == "cpu" else ()
    order = "streaming" if schedule == "c_streaming" else "rounds"
    sizes = () if size is None else (f"annotation.batch={size}", f"evaluation.batch={size}")
    return composed(f"task={task}", *OVERRIDES, *overrides, *sizes, f"generation.schedule={order}", *engine)


def composed(*overrides: str) -> RunConfig:
    """The configuration as the command line would compose it."""
    from hydra import compose, initialize_config_dir

    register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return typed(compose("config", overrides=list(overrides)))


class ClockedEngine(VLLMEngine):
    """Knows how long it was inside vLLM: starting and stopping, and answering."""

    starting = 0.0
    answering = 0.0

    def warm_up(self) -> None:
        """Start now, so that the start is counted as such."""
        begun = time.perf_counter()
        with self._answering():
            pass
        self.starting += time.perf_counter() - begun

    def close(self) -> None:
        begun = time.perf_counter()
        super().close()
        self.starting += time.perf_counter() - begun

    def step(self) -> Iterator[tuple[int, Any]]:
        begun = time.perf_counter()
        outputs = list(super().step())
        self.answering += time.perf_counter() - begun
        yield from outputs

    def _add(self, *arguments: Any) -> None:
        begun = time.perf_counter()
        super()._add(*arguments)
        self.answering += time.perf_counter() - begun


def one_run(schedule: str, task_name: str, adapters: Sequence[Path], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Seconds of each stage, engine starts and stops included, and where they went."""
    from selfguide.evaluation.predict import Query, System, predict
    from selfguide.models.session import LanguageModel
    from selfguide.search.protocol_check import AccessCounter
    from selfguide.store import Journal
    from selfguide.synthesis.inputs import InputProposer
    from selfguide.synthesis.outputs import Annotator
    from selfguide.tasks.load import load_task
    from selfguide.training.weights import weights_of

    config = configuration(schedule, task_name, overrides)
    task, gold = load_task(config.task, config.data, config.seed)
    AccessCounter(config, gold, "benchmarks.speed")
    instances = gold.open("test", "benchmark")[: config.evaluation.limit]
    engine = ClockedEngine(config)
    model = LanguageModel(config, engine)
    variants = [System(), *(System(weights_of(folder, config.finetuning)) for folder in adapters)]
    anew = schedule in REFERENCES
    seconds: dict[str, float] = {}
    processor = time.process_time()

    def timed(name: str, work: Callable[[Journal], Any]) -> Any:
        begun = time.perf_counter()
        engine.warm_up()
        with Journal(Path(folder) / f"{name}.jsonl") as journal:
            result = work(journal)
        if anew:
            engine.close()
        seconds[name] = time.perf_counter() - begun
        return result

    heat = config.temperature
    proposer = InputProposer(model, task, config.generation, config.filters, input_temperature(config, task.family), 0)
    annotator = Annotator(model, task, config.annotation, heat.output, 0)
    with tempfile.TemporaryDirectory() as folder, engine:
        inputs = timed("generation", proposer.propose)
        timed("annotation", lambda journal: annotator.annotate(inputs, journal))
        for number, group in enumerate([[variant] for variant in variants] if anew else [variants]):
            queries = [Query(instance, system) for system in group for instance in instances]
            timed(f"evaluation-{number}", partial(predict, model, task, config.evaluation, queries))
        begun = time.perf_counter()
        engine.close()
        seconds["end"] = time.perf_counter() - begun
    total = sum(seconds.values())
    return {
        "total": total,
        "processor_seconds": time.process_time() - processor,  # the same whatever else the machine does
        "seconds": seconds,
        "starting_and_stopping": engine.starting,
        "answering": engine.answering,
        "outside_vllm": total - engine.starting - engine.answering,
        "proposals": len(inputs),
        "accepted": sum(candidate.dropped is None for candidate in inputs),
        "tokens": {"prompt": engine.tokens.prompt, "generated": engine.tokens.generated},
    }


def train(task_name: str, folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The adapters of three epochs on the demonstrations, and how long that took."""
    from selfguide.models.loading import load_prompt_tokenizer
    from selfguide.tasks.load import load_task
    from selfguide.training.rows import build_rows
    from selfguide.training.trainer import finetune

    config = configuration("b_rounds", task_name, overrides)
    task, _ = load_task(config.task, config.data, config.seed)
    tokenizer = load_prompt_tokenizer(config.model)
    rows = build_rows(task, task.demonstrations, tokenizer, config.finetuning, 0, leave_one_out=True).rows
    begun = time.perf_counter()
    result = finetune(config, tokenizer, rows, folder, 0)
    return {"seconds": time.perf_counter() - begun, "steps": result.steps, "rows": len(rows)}
