"""One run, top to bottom: task, baseline, method, control, scores, files, table.

Gold is opened here and handed to the evaluation; the method gets the session, which has none, but
for a method that claims gold: it gets the pool, which is never scored on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from selfguide.analysis.result import RunRecord, save
from selfguide.analysis.summary import print_summary
from selfguide.config.builtin import METHODS
from selfguide.config.family import for_family
from selfguide.config.schema import RunConfig
from selfguide.core import child
from selfguide.core.console import Terminal
from selfguide.core.runlog import logged_to
from selfguide.core.types import Instance, Split
from selfguide.evaluation.columns import label_columns, metric_columns
from selfguide.evaluation.evaluate import Evaluated, choose_instances, evaluate, gain
from selfguide.evaluation.keeping import release_weights
from selfguide.evaluation.limits import within_limits
from selfguide.evaluation.predict import BASE, System
from selfguide.evaluation.statistics import Interval
from selfguide.methods import few_shot_finetune, method_of
from selfguide.methods.gold_use import gold_use
from selfguide.methods.prompt_check import check_prompts
from selfguide.methods.result import MethodResult
from selfguide.models.base import Engine
from selfguide.models.session import Session
from selfguide.search.protocol_check import ProtocolCheck
from selfguide.tasks.gold import SPLITS, GoldData
from selfguide.tasks.load import load_task
from selfguide.training.preflight import preflight

INSTRUCTION_ALONE = (
    "task.num_demonstrations=0: the baseline called few-shot ICL is the base model with the instruction alone"
)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What `run` gives to a caller: the method's score, the baseline's, and where the files are.

    Without instances nothing was measured: no score, no baseline.
    """

    status: str
    score: Interval | None
    baseline: Interval | None
    folder: Path


def run(config: RunConfig, folder: Path, terminal: Terminal | None = None, engine: Engine | None = None) -> RunResult:
    """Run `config.method` on `config.task`, leaving all files of the contract in `folder`.

    `engine` is one that is already running; without it, the first stage that needs one starts it.
    """
    terminal = terminal or Terminal()
    with logged_to(folder / "run.log"):
        with terminal.live():
            record = _record(config, folder, terminal, engine)
            save(record, folder)
        print_summary(record, folder, terminal)
    return RunResult(record.outcome.status, _interval(record.tuned), _interval(record.base), folder)


def _record(config: RunConfig, folder: Path, terminal: Terminal, engine: Engine | None) -> RunRecord:
    """Everything but the files: the method made its data and weights, and what there is to score is scored."""
    method = method_of(config.method)
    task, gold = load_task(config.task, config.data, config.seed)
    config = for_family(config, task.family)
    terminal.say(
        f"{task.name}: {task.family}, {len(task.demonstrations)} demonstrations, {task.metric}, {_sizes(gold)}"
    )
    settings = config.evaluation
    split: Split = "test" if settings.split == "test" else "validation"
    protocol = ProtocolCheck(config, task, gold, folder)
    instances: tuple[Instance, ...] = ()
    if not gold.is_empty:
        instances = choose_instances(gold.open(split), settings.limit, config.data.split_seed)

    def overlap_check(texts: Sequence[str]) -> frozenset[int]:
        return frozenset(overlap.index for overlap in gold.overlaps(split, texts))

    drop = config.filters.decontaminate == "drop"
    pool = gold.pool(instances) if config.method.claims_gold else ()
    use = gold_use(config, task, instances, pool)
    with Session(config, task, terminal, overlap_check if drop else None, engine, pool) as session:
        session.belongs_to(folder)
        published, instances = len(instances), within_limits(session, instances)
        session.before_work(partial(check_work, session, instances))
        base = _scored(session, "baseline", instances, {"few_shot_icl": BASE}).get("few_shot_icl")
        if base is None:
            terminal.say("no instances: nothing will be measured, but everything else runs")
        else:
            terminal.say(f"few-shot ICL: {task.metric} {base.score.value:.3f} (n={base.score.n})")

        result = with_validity(gold, method(session))
        if not task.demonstrations:
            result = replace(result, warnings=(*result.warnings, INSTRUCTION_ALONE))
        for warning in result.warnings:
            terminal.warn(warning)

        every_epoch = result.epochs if settings.epochs == "all" else ()
        epochs = {f"epoch {number}": System(epoch) for number, epoch in enumerate(every_epoch, 1)}
        systems = _systems(session, result) if instances else {}
        scored = _scored(session, "tuned", instances, epochs | systems)
        columns = {}
        if base is not None:
            columns = label_columns(session, instances, {"few_shot_icl": BASE, **systems})
            shown = {"few_shot_icl": base, **{name: scored[name] for name in systems}}
            columns |= metric_columns(task, instances, shown, settings)
        tuned = scored.get(config.method.name, base)
        if result.weights is not None:
            session.restore(result.weights.path)  # the run folder gets a copy
        answering = [result.system, *systems.values(), *epochs.values()]
        release_weights(session, [system for system in answering if system is not None])
        return RunRecord(
            config=config,
            task=task,
            split_counts=gold.counts(split),
            instances=instances,
            outcome=result,
            base=base,
            tuned=tuned,
            gain=None if base is None or tuned is None else gain(base, tuned, settings),
            controls={name: scored[name] for name in systems if name != config.method.name},
            epochs={name: scored[name] for name in epochs if name in scored},
            columns=columns,
            over_long=published - len(instances),
            stages=session.log.stages,
            overlaps=gold.overlaps(split, [pair.input for pair in result.pairs]),
            protocol=protocol.status(),
            gold_use=use,
        )


def _interval(evaluated: Evaluated | None) -> Interval | None:
    return None if evaluated is None else evaluated.score


def _sizes(gold: GoldData) -> str:
    """How many instances each split has, and how many were left out."""
    if gold.is_empty:
        return "no instances"
    dropped = sum(gold.counts(split).dropped for split in SPLITS)
    left_out = f" ({dropped} more are demonstrations)" if dropped else ""
    return "instances: " + ", ".join(f"{gold.count(split)} {split}" for split in SPLITS) + left_out


def _scored(
    session: Session, name: str, instances: Sequence[Instance], systems: Mapping[str, System]
) -> dict[str, Evaluated]:
    """`evaluate`, where there is something to evaluate."""
    return evaluate(session, name, instances, systems) if instances and systems else {}


def check_training(config: RunConfig, terminal: Terminal) -> None:
    """What a method that trains will need: refused now, not after hours of generation."""
    causal = config.student.kind == "causal"
    if not METHODS.entry(config.method.kind).trains or (causal and config.finetuning.kind == "none"):
        return
    child.warm_up()  # before torch is loaded here; it loads while the engine answers
    if causal:
        preflight(config, terminal)


def check_work(session: Session, instances: Sequence[Instance]) -> None:
    """What would stop the run after hours is refused before its first model call."""
    check_training(session.config, session.terminal)
    check_prompts(session, instances)


def _systems(session: Session, result: MethodResult) -> dict[str, System]:
    """What is scored beside the base model: the method and, where it trained, the control on the demonstrations."""
    config = session.config
    systems = {} if result.system is None else {config.method.name: result.system}
    trained = result.weights is not None or config.student.kind != "causal"
    if config.evaluation.controls and trained and config.method.kind != "few_shot_finetune":
        control = few_shot_finetune.run(session).system
        assert control is not None
        systems["few_shot_finetune"] = control
    return systems


def with_validity(gold: GoldData, result: MethodResult) -> MethodResult:
    """The result, with a warning if less than half of the new inputs are inputs of the task: the method is done."""
    accepted = [candidate.input for candidate in result.candidates if candidate.dropped is None or candidate.samples]
    valid = gold.count_valid(accepted)
    if valid is None or valid >= len(accepted) / 2:
        return result
    warning = f"{valid} of {len(accepted)} new inputs are valid inputs of this task, by its grammar: most are not"
    return replace(result, warnings=(*result.warnings, warning))
