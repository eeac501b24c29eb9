"""Every input of every stage is part of its key, unless it is listed as free: changed value, changed key.

`stage_fields.json` lists for each kind of stage the inputs that leave its key as it is. After a change that is meant:
python -m tests.config.test_stage_fields. What knobs do is in test_identity.py.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfguide.config.loop import LoopConfig
from selfguide.core.files import canonical_json
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.evaluation.canary import CheckWeights, Evidence
from selfguide.evaluation.columns import ReadLabels
from selfguide.evaluation.predict import Predict, Query, System
from selfguide.methods.curation import CuratePairs
from selfguide.methods.gepa import RewriteInstruction
from selfguide.methods.judging import RatePairs
from selfguide.methods.loop.influence import EncoderInfluence
from selfguide.methods.loop.stages import AskAttributes, ComposeRows, ProposeItems
from selfguide.methods.rest_stages import AcceptAnswers, Rationalize
from selfguide.methods.scoring import ScorePairs
from selfguide.models.base import Weights
from selfguide.models.session import LanguageModel
from selfguide.prompts.neighbours import ConditionedPrompt
from selfguide.store.stage import Stage
from selfguide.synthesis.acceptance import Acceptance
from selfguide.synthesis.call_budget import CallBudget
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.synthesis.proposals import ProposalRequest
from selfguide.synthesis.stages import AnnotateInputs, ComposeDataset, ProposeInputs, TokenLimit
from selfguide.training.encoder.stage import EncoderPredictor, TrainEncoder
from selfguide.training.preference_stage import Prefer, Preference
from selfguide.training.stages import Finetune
from tests.composing import run_config

FILE = Path(__file__).with_name("stage_fields.json")
TASK = TaskSpec(
    "t", "classification", "?", (Example("a", "yes"), Example("b", "no")), ("yes", "no"), noise_terms=("n",)
)
PAIRS = (Example("one", "yes"), Example("two", "no"))
WEIGHTS = Weights("0123", Path("weights"), rank=4)


def candidates() -> tuple[Candidate, ...]:
    samples = (Sample("yes", -1.0, None, "yes"), Sample("no", -2.0, "noise"))
    return (
        Candidate("0", 0, "one", "yes", None, samples, "yes", 0.5, "generated", "p", "e"),
        Candidate("1", 0, "two", "no", None, samples, "no", 0.5),
        Candidate("2", 1, "three", None, "noise"),
    )


def stages() -> list[Stage[Any]]:
    """One of every kind, with something in every field."""
    run = run_config("task=micro_barn_or_garage", "student=encoder_scratch", "method=zerogen")
    loop, model = run.method, LanguageModel(run)
    assert isinstance(loop, LoopConfig)
    queries = (
        Query(Instance("i", "one", ("yes",)), System(WEIGHTS, PAIRS)),
        Query(Instance("j", "two", ("no",)), System()),
    )
    request = ProposalRequest("r", ConditionedPrompt("?", "yes", "about"), stream=("a", 1))
    encoder: Any = EncoderStandIn()
    known, budget, made = ("k",), CallBudget(3, 40), candidates()
    return [
        ProposeInputs(model, TASK, run.generation, run.filters, 0.7, 1),
        AnnotateInputs(model, TASK, run.annotation, 0.7, 1, candidates(), WEIGHTS, TokenLimit(9, 2)),
        ComposeDataset(TASK, run.annotation, run.filters, 1, candidates()),
        AskAttributes(model, TASK, loop, 1),
        ProposeItems(model, TASK, (request,), loop.propose, loop.filter, run.filters, known, made, budget, 2, 1),
        ComposeRows(TASK, run.annotation, candidates(), 1),
        AcceptAnswers(TASK, run.annotation, run.filters, 1, candidates(), Acceptance(2, 0.5, {"0": ("yes",)})),
        Rationalize(model, TASK, run.annotation, 0.7, 1, candidates(), WEIGHTS, {"0": "yes"}),
        RewriteInstruction(model, model, TASK, (Instance("i", "one", ("yes",)),), 9, 2, 8, 64, 1),
        RatePairs(model, TASK, PAIRS, 1),
        CuratePairs(PAIRS, [[0.1], [0.2]], TASK.labels, run.curation),
        Finetune(model, TASK, PAIRS, run.finetuning, 1),
        Prefer(model, TASK, (Preference("one", "yes", "no"),), run.finetuning, 1, WEIGHTS),
        TrainEncoder(run.student.encoder, TASK.labels, "\nQ:", PAIRS, PAIRS[1:], 1, "cpu"),
        EncoderInfluence(encoder, PAIRS, PAIRS[1:], run.student.influence, 1),
        ScorePairs(model, TASK, PAIRS, (WEIGHTS, None)),
        Predict(model, TASK, run.evaluation, queries),
        ReadLabels(model, TASK, queries),
        CheckWeights(model, TASK, WEIGHTS, Evidence({"rows": [1.5]}, PAIRS, False), run.finetuning, 1, 0.1),
    ]  # fmt: skip


class EncoderStandIn:
    """For a trained encoder, which says what it is."""

    stage_identity = "encoder"


def changes(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, the value with the part at this path changed), for all parts; knobs are left to test_identity.py."""
    if isinstance(value, LanguageModel | EncoderStandIn | EncoderPredictor) or type(value).__module__.startswith(
        "selfguide.config"
    ):
        return
    if isinstance(value, bool):
        yield path, not value
    elif isinstance(value, int | float):
        yield path, value + 1
    elif isinstance(value, str):
        yield path, value + "x"
    elif isinstance(value, Path):
        yield path, value / "x"
    elif isinstance(value, dict):
        yield path, value | {"x": 1}
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            for where, changed in changes(getattr(value, field.name), f"{path}.{field.name}"):
                yield where, dataclasses.replace(value, **{field.name: changed})
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for name in value._fields:
            for where, changed in changes(getattr(value, name), f"{path}.{name}"):
                yield where, value._replace(**{name: changed})
    elif isinstance(value, tuple | list) and value:
        kind = type(value)
        yield f"{path}[fewer]", value[1:]
        for where, changed in changes(value[0], f"{path}[]"):
            yield where, kind([changed, *value[1:]])


def free_parts(stage: Any) -> list[str]:
    """What may change without the key."""
    before, free = canonical_json(stage.spec), []
    for field in dataclasses.fields(stage):
        for path, changed in changes(getattr(stage, field.name), field.name):
            if canonical_json(dataclasses.replace(stage, **{field.name: changed}).spec) == before:
                free.append(path)
    return sorted(free)


def found() -> dict[str, list[str]]:
    return {stage.kind: free_parts(stage) for stage in stages()}


def test_only_what_is_listed_leaves_a_stages_key_as_it_is() -> None:
    assert found() == json.loads(FILE.read_text())


def test_every_kind_of_stage_is_looked_at() -> None:
    known = [kind for kind in Stage.__subclasses__() if kind.__module__.startswith("selfguide")]
    assert {type(stage) for stage in stages()} == set(known)


def test_a_candidate_that_was_dropped_does_not_stand_for_one_that_was_kept() -> None:
    """Whatever dropped it, the evaluation split's texts among them: the stages behind it do not see it."""
    run = run_config("task=micro_barn_or_garage")
    model, kept = LanguageModel(run), candidates()
    dropped = (dataclasses.replace(kept[0], dropped="contaminated"), *kept[1:])
    for one, other in zip(*([AnnotateInputs(model, TASK, run.annotation, 0.7, 1, made).spec,
                             ComposeDataset(TASK, run.annotation, run.filters, 1, made).spec]
                            for made in (kept, dropped)), strict=True):  # fmt: skip
        assert one != other


if __name__ == "__main__":
    FILE.write_text(json.dumps(found(), indent=1) + "\n")
