"""What each knob changes, tried out: the keys of the real stages, of runs, frozen settings, variants and forecasts.

`identity.json` holds what is expected. After a change that is meant: python -m tests.config.test_identity
"""

import dataclasses
import functools
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from selfguide.analysis.forecast import config_key
from selfguide.config.identity import knobs, knobs_of, setting_values, variant_keys
from selfguide.config.loop import LoopConfig
from selfguide.config.schema import AnnotationConfig, RunConfig
from selfguide.core.files import canonical_json
from selfguide.evaluation.predict import Predict
from selfguide.methods.curation import CuratePairs
from selfguide.methods.loop.influence import EncoderInfluence
from selfguide.models.session import LanguageModel
from selfguide.search.content import data_settings, models_content, run_identity, task_content
from selfguide.store.stage import Stage
from selfguide.synthesis.stages import AnnotateInputs, ComposeDataset, ProposeInputs
from selfguide.tasks.load import load_task
from selfguide.training.encoder.stage import TrainEncoder
from selfguide.training.preference_stage import Prefer
from selfguide.training.stages import Finetune
from tests.composing import run_config

FILE = Path(__file__).with_name("identity.json")
# The knobs of a node, in a run in which they matter.
RUNS = [
    ("", ("task=micro_barn_or_garage", "student=encoder_scratch")),
    ("engine", ("engine=vllm",)),
    ("engine", ("engine=openai",)),
    ("teacher", ("teacher=openai", "teacher.model.path=micro", "annotation.annotator=base")),
    *(("method", (f"method={name}",)) for name in ("self_icl", "gold_finetune", "gepa", "rest", "loop")),
]


class TrainedEncoder:
    """Stands for the encoder that a stage is given."""

    stage_identity = "encoder"


def stages_of(run: RunConfig) -> list[Stage[Any]]:
    """One of each kind that takes knobs."""
    task, _ = load_task(run.task, run.data, run.seed)
    model = teacher = LanguageModel(run)
    if run.teacher.kind == "other":
        assert run.teacher.model is not None and run.teacher.engine is not None
        teacher = LanguageModel(dataclasses.replace(run, model=run.teacher.model, engine=run.teacher.engine))
    encoder: Any = TrainedEncoder()
    return [
        ProposeInputs(teacher, task, run.generation, run.filters, run.temperature.input, run.seed),
        AnnotateInputs(teacher, task, run.annotation, run.temperature.output, run.seed, ()),
        ComposeDataset(task, run.annotation, run.filters, run.seed, ()),
        CuratePairs((), [], task.labels, run.curation),
        Finetune(model, task, (), run.finetuning, run.seed),
        Prefer(model, task, (), run.finetuning, run.seed, None),
        TrainEncoder(run.student.encoder, task.labels, task.context_until, (), (), run.seed, "cpu"),
        EncoderInfluence(encoder, (), (), run.student.influence, run.seed),
        Predict(model, task, run.evaluation, ()),
    ]


def keys_of(run: RunConfig) -> dict[str, str]:
    """All keys of a run; one that cannot be made is the error that says so."""

    def loop_steps() -> list[Any]:
        assert isinstance(run.method, LoopConfig)
        return [knobs_of(run.method.propose, "proposals"), knobs_of(run.method.filter, "proposals")]

    def binding() -> list[Any]:
        return [setting_values(run), models_content(run), data_settings(run), task_content(run, "validation")]

    def variant() -> dict[str, Any]:
        saved = dataclasses.asdict(run)
        decisive = variant_keys(saved, RunConfig)
        return {knob.key: knob.value for knob in knobs(run) if knob.key in decisive}

    made: dict[str, Any] = {"run": run_identity, "forecast": config_key}
    made |= {name: lambda _, make=make: canonical_json(make()) for name, make in
             (("frozen setting", binding), ("variant", variant))}  # fmt: skip
    if isinstance(run.method, LoopConfig):
        made["stage proposals"] = lambda _: canonical_json(loop_steps())
    known = {name: attempt(functools.partial(make, run)) for name, make in made.items()}
    try:
        return known | {f"stage {stage.kind}": attempt(lambda stage=stage: canonical_json(stage.spec)) for stage in
                        stages_of(run)}  # fmt: skip
    except Exception as error:  # no such task
        return known | {"stages": repr(error)}


def attempt(make: Any) -> str:
    try:
        return str(make())
    except Exception as error:  # a value that cannot be is not taken for the old one
        return repr(error)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    if "stages" in after:
        return {name for name in before if name.startswith("stage ") or before[name] != after[name]}
    return {name for name in before if before[name] != after[name]}


def tried() -> dict[str, list[str]]:
    """For each knob of the schema the keys that another value of it changes."""
    found: dict[str, set[str]] = defaultdict(set)
    for node, overrides in RUNS:
        run = run_config(*overrides)
        before = keys_of(run)
        assert "stages" not in before, before["stages"]
        for knob in knobs(run):
            if not knob.key.startswith(node):
                continue
            *path, name = knob.key.split(".")
            owner = functools.reduce(getattr, path, run)
            allowed = owner.__dataclass_fields__[name].metadata.get("allowed")
            others = [each for each in (allowed and allowed.names) or ("other", 3) if each != knob.value]
            setattr(owner, name, not knob.value if isinstance(knob.value, bool) else others[0])
            found[knob.key] |= changed(before, keys_of(run))
            setattr(owner, name, knob.value)
    return {key: sorted(names) for key, names in sorted(found.items())}


def test_a_knob_changes_the_keys_that_it_should_and_no_other() -> None:
    expected = json.loads(FILE.read_text())
    found = tried()
    assert {key for key in found if found[key] != expected.get(key)} == set() and set(expected) == set(found)


def test_a_knob_that_says_nothing_is_part_of_every_key_of_its_node() -> None:
    wider = dataclasses.make_dataclass("Wider", [("added", int, 0)], bases=(AnnotationConfig,))
    run = run_config()
    run.annotation = wider(**dataclasses.asdict(run.annotation))
    before = keys_of(run)
    run.annotation.added = 1  # type: ignore[attr-defined]
    assert changed(before, keys_of(run)) == {
        *("run", "frozen setting", "variant", "forecast", "stage outputs", "stage dataset")
    }


def test_what_a_knob_says_is_a_kind_of_stage_that_there_is() -> None:
    kinds = {stage.kind for stage in stages_of(run_config("task=micro_barn_or_garage"))}
    said = {each for _, overrides in RUNS for knob in knobs(run_config(*overrides)) for each in knob.affects or ()}
    assert said <= kinds | {"choice", "report", "proposals"}


def write() -> None:
    """The table anew."""
    rows = (f"  {json.dumps(key)}: {json.dumps(names)}" for key, names in tried().items())
    FILE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    write()
