"""The sweeps that are shipped, and locks in runs."""

import functools
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from selfguide.config.builtin import ENGINES
from selfguide.config.identity import NOTHING, knobs, setting_values
from selfguide.config.schema import FinetuningConfig, HubConfig, NeighboursConfig, RunConfig
from selfguide.config.validate import typed
from selfguide.core.errors import ConfigError
from selfguide.core.files import canonical_json
from selfguide.core.paths import config_dir
from selfguide.search.access_log import AccessLog
from selfguide.search.content import data_settings, models_content, task_content
from selfguide.search.freeze import with_lock
from selfguide.search.frozen_config import VERSION, FrozenConfig, load
from selfguide.search.protocol_check import ProtocolCheck
from selfguide.search.space import overrides_of, read_space
from selfguide.tasks.load import load_task
from tests.composing import composed as compose

NAMES = ["one_parameter_classification", "one_parameter_generation", "one_parameter_micro"]
TASK = "micro_color_word"


@pytest.mark.parametrize("name", NAMES)
def test_shipped_sweeps_are_sound(name: str) -> None:
    config = compose(f"+sweep={name}")
    sweep = config.sweep
    assert sweep.name == name
    assert config.evaluation.split == "validation"
    assert not set(sweep.tasks) & set(sweep.test_tasks)
    for group, tasks in (("validation", sweep.tasks), ("test", sweep.test_tasks)):
        for task in tasks:
            assert OmegaConf.load(config_dir() / "task" / f"{task}.yaml").group == group, task
    space = read_space(dict(sweep.space), [])
    points = space.points()
    assert points is not None and len(points) == (16 if "micro" in name else 30)
    for first in sweep.first:
        assert space.check(dict(first)) in points
    # Every corner of the space is a valid run.
    for point in (points[0], points[-1]):
        typed(compose(f"+sweep={name}", *overrides_of(point)))


def run_config(*overrides: str) -> RunConfig:
    return typed(compose(f"task={TASK}", *overrides))


def lock_for(run: RunConfig, tmp_path: Path, **changes: Any) -> Path:
    task, _ = load_task(run.task, run.data, run.seed)
    content = {
        "version": VERSION,
        "name": "x",
        "setting": {"temperature.input": 0.65},
        "tasks": {
            "micro_time_stamp": {"metric": "exact_match", "split": "validation", "hash": "?", "prompt": {"labels": []}}
        },
        "test_tasks": {task.name: task_content(run, "test")},
        "data": data_settings(run),
        **models_content(run),
        "study": {"name": "x-1"},
        "values": {**setting_values(run), "temperature.input": 0.65},
        **changes,
    }
    path = tmp_path / "lock.yaml"
    FrozenConfig(content).write(path)
    return path


def watch(run: RunConfig, tmp_path: Path) -> ProtocolCheck:
    run.store.root = str(tmp_path / "store")
    task, gold = load_task(run.task, run.data, run.seed)
    watched = ProtocolCheck(run, task, gold, tmp_path / "run")
    gold.open("test" if run.evaluation.split == "test" else "validation")
    return watched


def test_a_lock_decides_the_method(tmp_path: Path) -> None:
    path = lock_for(run_config(), tmp_path)
    frozen = with_lock(compose(f"task={TASK}", f"frozen_config={path}", "seed=3"), ["seed=3"])
    assert frozen.temperature.input == 0.65 and frozen.seed == 3
    assert setting_values(typed(frozen)) == {**setting_values(run_config()), "temperature.input": 0.65}


@pytest.mark.parametrize(
    "override",
    [
        *("temperature.input=0.9", "finetuning=full", "generation.rounds=3", "synthesis=smoke", "method=zerogen"),
        *("curation=confidence", "budget.kind=equal_rows", "student=encoder_scratch", "evaluation.max_new_tokens=3"),
    ],
)
def test_a_contradicted_lock_is_refused_with_the_difference(tmp_path: Path, override: str) -> None:
    path = lock_for(run_config(), tmp_path)
    with pytest.raises(ConfigError, match=r"differs: .* -> "):
        with_lock(compose(f"task={TASK}", f"frozen_config={path}", override), [override])


def test_frozen_and_unfrozen_runs_and_the_ledger(tmp_path: Path) -> None:
    loose = watch(run_config(), tmp_path).status()
    assert (loose.frozen, loose.lock, loose.test_openings, loose.mark) == (False, None, 1, "UNFROZEN")
    path = lock_for(run_config(), tmp_path)
    held = watch(run_config(f"frozen_config={path}"), tmp_path).status()
    assert held.frozen is True and held.test_openings == 2 and held.mark == ""
    assert held.lock is not None and held.lock["same_model"] is True and held.lock["study"] == "x-1"
    outside = watch(run_config("evaluation.split=validation"), tmp_path).status()
    assert (outside.frozen, outside.test_openings) == (None, None)
    rows = list(AccessLog(tmp_path / "store" / "test_openings.jsonl").rows())
    assert [row["lock"] for row in rows] == [None, held.lock["hash"]]
    peeking = watch(run_config("evaluation.split=validation", "data.validation_fraction=0.9"), tmp_path).status()
    assert (peeking.frozen, peeking.test_openings) == (False, 3), "instances of the published test split"
    assert peeking.other_split == "data.validation_fraction=0.9" and loose.other_split is None
    with pytest.raises(ConfigError, match=r"task.group: validation is not allowed for the data of micro_color_word"):
        watch(run_config("task.group=validation"), tmp_path)
    renamed = watch(run_config("task.name=another", "task.group=null"), tmp_path / "other").status()
    assert (renamed.frozen, renamed.test_openings) == (False, 4), "the same gold, under another name, in another store"
    assert renamed.reset_logs == {}
    for path in (tmp_path / "store").glob("test_openings*"):
        path.unlink()
    again = watch(run_config(), tmp_path).status()
    assert again.test_openings == 5
    assert again.reset_logs == {str(tmp_path / "store" / "test_openings.jsonl"): 3}


@pytest.mark.parametrize(
    ("override", "difference"),
    [
        ("task.metric=rouge_l", "metric: exact_match -> rouge_l"),
        ("data.split_seed=7", "data.split_seed: 42 -> 7"),
        ("data.validation_fraction=0.2", "hash: "),
        ("task=micro_time_stamp", "hash: ? -> "),
        ("task=micro_to_plan", "tasks: micro_time_stamp, micro_color_word -> micro_to_plan"),
        ("task.num_demonstrations=2", "micro_color_word.prompt.demonstrations: 6 -> 2"),
        ("task.instruction=Answer", "micro_color_word.prompt.instruction: "),
        ("task.label_extraction=exact", "micro_color_word.prompt.label_extraction: first_line -> exact"),
        ("model.context_length=512", "model.context_length: None -> 512"),
        ("teacher=local teacher.model.path=micro annotation.annotator=base", "teacher: None -> {'identity'"),
    ],
)
def test_a_lock_that_no_longer_fits_is_refused_before_gold_is_opened(
    tmp_path: Path, override: str, difference: str
) -> None:
    path = lock_for(run_config(), tmp_path)
    split = "validation" if "time_stamp" in override else "test"
    with pytest.raises(ConfigError) as refusal:
        watch(
            typed(compose(f"task={TASK}", f"frozen_config={path}", f"evaluation.split={split}", *override.split())),
            tmp_path,
        )
    assert difference in str(refusal.value)
    assert not (tmp_path / "store" / "test_openings.jsonl").exists()


def test_a_lock_is_refused_on_the_split_that_it_was_chosen_on(tmp_path: Path) -> None:
    run = run_config("evaluation.split=validation")
    task, _ = load_task(run.task, run.data, run.seed)
    path = lock_for(run, tmp_path, tasks={task.name: task_content(run, "validation")}, test_tasks={})
    with pytest.raises(ConfigError, match=f"{TASK}: chosen on its validation split; allowed: another split"):
        watch(run_config(f"frozen_config={path}", "evaluation.split=validation"), tmp_path)
    assert watch(run_config(f"frozen_config={path}"), tmp_path).status().frozen is True


def test_a_lock_brings_its_method_with_all_its_knobs(tmp_path: Path) -> None:
    own = run_config("method=zerogen", "method.propose.attempts=7")
    path = lock_for(own, tmp_path, values=setting_values(own))
    assert typed(with_lock(compose(f"task={TASK}", f"frozen_config={path}"), [])).method == own.method


def test_a_knob_that_is_younger_than_the_lock_may_not_be_set(tmp_path: Path) -> None:
    run = run_config()
    known = {key: value for key, value in setting_values(run).items() if key != "curation.min_confidence"}
    path = lock_for(run, tmp_path, values=known)
    assert typed(with_lock(compose(f"task={TASK}", f"frozen_config={path}"), [])).curation.min_confidence is None
    with pytest.raises(ConfigError, match=r"curation.min_confidence: \(absent\) -> 0.5"):
        with_lock(
            compose(f"task={TASK}", f"frozen_config={path}", "curation.min_confidence=0.5"),
            ["curation.min_confidence=0.5"],
        )


def test_a_lock_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    path = lock_for(run_config(), tmp_path, version=1)
    with pytest.raises(ConfigError, match="has version 1; allowed: 2, which holds every knob"):
        load(path)


# Whose knobs are looked at in which run, so that they matter there.
RUNS = [
    ("", ()),
    ("engine", ("engine=vllm",)),
    ("engine", ("engine=openai",)),
    ("teacher", ("teacher=openai", "teacher.model.path=micro", "annotation.annotator=base")),
    ("student", ("task=micro_barn_or_garage", "student=encoder_scratch")),
    *(("method", (f"method={name}",)) for name in ("self_icl", "gold_finetune", "loop")),
]
# Bound by what they are: where they are, what they are called, how fast and how exactly they compute is free.
FREE = {
    *("task.group", "task.path", *(f"task.hub.{field.name}" for field in fields(HubConfig))),
    *(f"data.{name}" for name in ("root", "cache", "url", "timeout_s", "retries", "split_path")),
    *(f"{node}model.{name}" for node in ("", "teacher.") for name in ("name", "revision", "trust_remote_code")),
    *(
        f"{node}engine.{field.name}"
        for node in ("", "teacher.")
        for name in ENGINES.builtin
        for field in fields(ENGINES.schema_of(name))
        if field.name not in ("name", "quantization", "model", "dialect", "options")
    ),
    "student.encoder.revision",
    "model.template_options",  # part of the identity of chat prompts alone
    "task.options",  # what a source of one's own makes of them is in the instances' hash
    *(f"{node}._target_" for node in ("task", "engine", "teacher.engine", "method", "student", "curation")),
}


def content(run: RunConfig, tasks: dict[str, Any]) -> str:
    try:
        own = repr((run.task, run.data))
        if own not in tasks:
            tasks[own] = task_content(run, "validation")
        known = [setting_values(run), models_content(run), tasks[own], data_settings(run)]
        return canonical_json([known, run.evaluation.split, run.evaluation.limit])
    except Exception as error:  # a value that cannot be is not taken for the old one
        return repr(error)


def test_every_knob_is_bound_or_listed_as_free() -> None:
    """A new knob is bound without further doing; one that is not says so in the schema, or is above."""
    bound, free = set(), set()
    for node, overrides in RUNS:
        run = run_config(*overrides)
        before = content(run, tasks := {})
        for knob in knobs(run):
            key, value = knob.key, knob.value
            if not key.startswith(node):
                continue
            *path, name = key.split(".")
            owner = functools.reduce(getattr, path, run)
            allowed = owner.__dataclass_fields__[name].metadata.get("allowed")
            others = [each for each in (allowed and allowed.names) or ("other", 3) if each != value]
            setattr(owner, name, not value if isinstance(value, bool) else others[0])
            (free if content(run, tasks) == before else bound).add(key)
            setattr(owner, name, value)
    evaluation = (
        "label_scoring",
        "bootstrap",
        "confidence",
        "controls",
        "epochs",
        "canary",
        "canary_tolerance",
        "batch",
    )
    told = {key for key in free - bound if key.partition(".")[0] in ("store", "tracking", "extras")}
    assert free - bound == FREE & (free | bound) | told | {
        *("annotation.batch", "sweep", "plan", "frozen_config", "seed", "teacher.model", "teacher.engine"),
        *(f"evaluation.{name}" for name in evaluation),
        *(f"generation.neighbours.{field.name}" for field in fields(NeighboursConfig)),  # other keys take them up
        *(f"finetuning.{f.name}" for f in fields(FinetuningConfig) if f.metadata.get("affects") == NOTHING),
    }
    assert len(told) == 19 and len(bound) > 150
