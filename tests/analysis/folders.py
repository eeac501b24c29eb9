"""Run folders as a run leaves them, without a model: the records are made up, the writing is the product's."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from selfguide.analysis.result import RunRecord, save
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.evaluation.evaluate import Evaluated, gain
from selfguide.evaluation.predict import Prediction
from selfguide.evaluation.statistics import bootstrap_mean
from selfguide.methods.gold_use import GoldUse
from selfguide.methods.result import MethodResult
from selfguide.store import Store, StoredStage
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.tasks.gold import SplitCounts
from selfguide.tasks.metrics import score_task
from selfguide.tasks.overlap import Overlap
from tests.composing import run_config

WORDS = (
    "amber", "boat", "cedar", "drum", "eagle", "flint", "grape", "hill", "iron",
    "jade", "kite", "lamp", "maple", "north", "olive", "pearl", "quartz", "river",
)  # fmt: skip
INPUT_DROPS = ("empty", "too_long", "duplicate", "noise")


def write_run(
    folder: Path,
    *overrides: str,
    name: str = "task_a",
    classification: bool = True,
    proposals: int = 120,
    instances: int = 40,
    skill: float = 0.8,
    base_skill: float = 0.5,
    seed: int = 0,
    texts: Sequence[str] = (),
    labels: tuple[str, ...] = ("yes", "no"),
    words: int = 8,
) -> Path:
    """A finished run. `skill`: the tuned model's chance to be right; `texts` are mixed into what a model writes."""
    config = run_config(
        "task=json", "task.path=unused.json", f"task.name={name}", f"seed={seed}", "synthesis=default",
        "evaluation.bootstrap=200", f"store.root={folder.parent / 'store'}", *overrides,
    )  # fmt: skip
    draw = random.Random(f"{name}-{seed}-{skill}")

    def sentence() -> str:
        if texts and draw.random() < 0.3:
            return draw.choice(list(texts))
        return " ".join(draw.choice(WORDS) for _ in range(draw.randint(max(1, words // 2), words)))

    def answer() -> str:
        return draw.choice(labels) if classification else sentence()

    task = TaskSpec(
        name=name,
        family="classification" if classification else "generation",
        instruction=f"Answer the question. {texts[0] if texts else ''}",
        demonstrations=tuple(Example(f"{sentence()} {place}", answer()) for place in range(4)),
        labels=labels if classification else (),
        metric="exact_match" if classification else "rouge_l",
    )
    candidates = tuple(_candidate(draw, task, place, sentence, answer) for place in range(proposals))
    pairs = tuple(Example(c.input, c.output or "") for c in candidates if c.dropped is None)
    gold_draw = random.Random(f"gold-{name}")

    def draw_label() -> str:
        return gold_draw.choice(labels)

    gold = tuple(
        Instance(f"{name}-{place}", f"gold{place} {' '.join(gold_draw.choices(WORDS, k=6))}", (draw_label(),))
        for place in range(instances)
    )
    base = _evaluated(task, gold, base_skill, random.Random(f"base-{name}"), texts, config.evaluation.bootstrap)
    trains = config.finetuning.kind != "none" and config.method.name != "few_shot_icl"
    tuned = _evaluated(task, gold, skill, draw, texts, config.evaluation.bootstrap) if trains else base
    record = RunRecord(
        config=config,
        task=task,
        split_counts=SplitCounts(instances + 1, 1),
        instances=gold,
        outcome=MethodResult(candidates=candidates, pairs=pairs, warnings=tuple(texts[:1])),
        base=base,
        tuned=tuned,
        gain=gain(base, tuned, config.evaluation),
        gold_use=GoldUse(config.method.claims_gold),
        controls={"few_shot_finetune": base} if trains else {},
        stages=_stages(Store(config.store.root), f"{name} {seed} {skill} {overrides}", len(pairs)),
        overlaps=[Overlap(0, "ngram", " ".join(WORDS[:8]))] if pairs else [],
    )
    save(record, folder)
    return folder


def _candidate(draw: random.Random, task: TaskSpec, place: int, sentence: Any, answer: Any) -> Candidate:
    label = draw.choice(task.labels) if task.is_classification else None
    made = Candidate(f"{place // 10}-{place % 10}", place // 10, sentence(), label)
    if draw.random() < 0.25:
        return Candidate(made.id, made.round, made.input, label, draw.choice(INPUT_DROPS))
    usual = label or answer()
    votes = [usual if draw.random() < 0.8 else answer() for _ in range(10)]
    samples = tuple(Sample(vote, -1.0, None, vote) for vote in votes)
    winner = max(set(votes), key=votes.count)
    share = votes.count(winner) / 10
    dropped = "low_consistency" if share < 0.6 else draw.choice((None, None, None, "balance"))
    return Candidate(made.id, made.round, made.input, label, dropped, samples, winner, share)


def _evaluated(
    task: TaskSpec, gold: Sequence[Instance], skill: float, draw: random.Random, texts: Sequence[str], resamples: int
) -> Evaluated:
    wrong = list(texts) or ["something else"]
    answers = [i.references[0] if draw.random() < skill else draw.choice(wrong) for i in gold]
    scores = tuple(score_task(task, text, instance) for text, instance in zip(answers, gold, strict=True))
    predictions = tuple(Prediction(instance.id, text) for text, instance in zip(answers, gold, strict=True))
    return Evaluated(predictions, scores, bootstrap_mean(scores, resamples=resamples))


def _stages(store: Store, name: str, rows: int) -> dict[str, StoredStage]:
    def training(work: Path) -> dict[str, Any]:
        lines = [{"step": step, "loss": 2 / step, "grad_norm": 1.0, "learning_rate": 0.1} for step in range(1, 91)]
        (work / "losses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return {"rows": rows, "over_length": 0, "steps": 90, "trained_tokens": 900}

    def calls(work: Path) -> dict[str, Any]:
        return {"tokens": {"prompt": 1000, "generated": 100}}

    kinds = {"baseline": calls, "inputs": calls, "outputs": calls, "training": training, "tuned": calls}
    return {role: store.run(role, {"run": name, "role": role}, build) for role, build in kinds.items()}
