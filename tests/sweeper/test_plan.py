"""Mistakes in a sweep are found before anything runs, and named."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from selfguide.apps.sweep.binding import frozen_values
from selfguide.apps.sweep.plan import Plan, read_plan
from selfguide.config.groups import register
from selfguide.core.errors import ConfigError
from selfguide.core.paths import config_dir
from selfguide.search.racing import Job


def plan(*overrides: str, arguments: tuple[str, ...] = ()) -> Plan:
    folder = Path(__file__).parent / "app_conf"
    with initialize_config_dir(str(folder), version_base="1.3"):
        config = compose("config", overrides=["log=x", *overrides], return_hydra_config=True)
        return read_plan(config, GlobalHydra.instance().config_loader(), ["log=x", *arguments])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sweep.tasks=[]", "sweep.tasks: has no value"),
        ("sweep.test_tasks=[t1]", "t1 also in sweep.tasks"),
        ("sweep.sampler=tpa", "did you mean tpe"),
        ("sweep.first=[{x: 0.7, y: a}]", "x=0.7 is not in the space"),
        ("sweep.first=[{x: 0.1, y: a, z: 1}]", "z not in sweep.space"),
        ("sweep.first=[{x: 0.1, yy: a}]", r"yy not in sweep.space; did you mean y\?"),
        (
            "+sweep.space.seconds='choice(1.0,2.0)' sweep.first=[{x: 0.1}]",
            "has no seconds, and the configuration's 0.0 is",
        ),
        ("+sweep.space.secnds='choice(1.0,2.0)'", "sweep.space: secnds: there is no such key"),
        ("+sweep.floors.t9=0.1", "t9 is not in sweep.tasks"),
        ("sweep.seeds=[1,1]", "names one twice"),
        ("sweep.trials=0", "sweep.trials: 0 is not allowed"),
        ("sweep.trails=3", "trails"),
        ("+frozen_config=x", "a sweep searches what it fixes"),
        ("+evaluation.split=test", "settings are chosen on validation"),
    ],
)
def test_mistakes(override: str, message: str) -> None:
    with pytest.raises(Exception, match=message) as found:
        plan(*re.split(r" (?=sweep)", override))
    assert isinstance(found.value, ConfigError) or "trails" in override


def own_plan(*overrides: str, arguments: tuple[str, ...] = ()) -> Plan:
    """Of a sweep over the project's own jobs."""
    register()
    fixed = ["+sweep=default", "sweep.name=x", "sweep.tasks=[micro_color_word]", "method=few_shot_icl"]
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        config = compose("config", overrides=[*fixed, *overrides], return_hydra_config=True)
        return read_plan(config, GlobalHydra.instance().config_loader(), [*fixed, *arguments])


SEARCHED = "temperature.input=choice(0.6,0.8)"


@pytest.mark.parametrize(
    ("overrides", "arguments"),
    [
        (("evaluation.split=test",), (SEARCHED,)),
        ((), (SEARCHED, "evaluation.split=test")),
        ((), ("evaluation.split=choice(validation,test)",)),
        (("sweep.tasks=['micro_color_word evaluation.split=test']",), (SEARCHED,)),
        (("sweep.tasks=[micro_time_stamp,'micro_color_word evaluation.split=test']",), (SEARCHED,)),
        (
            ("sweep.first=[{evaluation.split: test, temperature.input: 0.6}]",),
            (SEARCHED, "evaluation.split=choice(validation,test)"),
        ),
        # The example is a setting of `first`; the other option comes later.
        (
            ("sweep.first=[{evaluation.split: validation, temperature.input: 0.6}]",),
            (SEARCHED, "evaluation.split=choice(validation,test)"),
        ),
    ],
)
def test_no_way_leads_to_the_test_split(overrides: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.split: test is not allowed in a sweep"):
        own_plan(*overrides, arguments=arguments)


@pytest.mark.parametrize(
    ("overrides", "arguments"),
    [
        ((), (SEARCHED, "data.validation_fraction=0.5")),
        (("sweep.tasks=['micro_color_word data.split_seed=7']",), (SEARCHED,)),
        (("sweep.tasks=['micro_color_word data.split_seed=7 task.name=mine task.group=null']",), (SEARCHED,)),
        ((), (SEARCHED, "data.split_seed=choice(42,7)")),
    ],
)
def test_no_test_instance_moves_to_what_a_setting_is_chosen_on(
    overrides: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError, match=r"of its published test split; |decides what is evaluated"):
        own_plan(*overrides, arguments=arguments)


def test_the_frozen_setting_records_the_split_that_it_was_chosen_on() -> None:
    plan = own_plan(arguments=(SEARCHED,))
    (task,) = frozen_values(plan.knobs, plan.compose, {"temperature.input": 0.6})["tasks"].values()
    assert task["split"] == "validation"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cretpw@host/db",
        "postgresql+psycopg2://host/db?password=s3cretpw",
        "postgresql://me:${oc.env:SWEEP_TEST_PW}@host/db",
        "postgresql://me:s3cretpw@host:port/db",
        "post gres://me:s3cretpw@host/db",
    ],
)
def test_a_password_in_the_storage_is_refused_and_not_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWEEP_TEST_PW", "s3cretpw")
    with pytest.raises(ConfigError, match=r"sweep\.storage: (holds a password|cannot be read as a URL)") as found:
        plan(f"sweep.storage='{url}'")
    assert "s3cretpw" not in str(found.value)


@pytest.mark.parametrize("url", ["postgresql://me@host:5432/db?passfile=/home/me/.pgpass", "sqlite:////a:b@c/study.db"])
def test_a_storage_without_a_password_is_taken(url: str) -> None:
    assert plan(f"sweep.storage='{url}'").knobs.storage == url


def test_an_endless_space_needs_a_number_of_trials() -> None:
    with pytest.raises(ConfigError, match="needs a finite space"):
        plan(arguments=("x=interval(0,1)",))
    assert plan("sweep.trials=7", arguments=("x=interval(0,1)",)).target == 7


def test_a_first_setting_is_completed_from_the_configuration() -> None:
    own = plan("sweep.first=[{x: 0.2}]", "+sweep.space.seconds='choice(0.0,1.0)'")
    assert own.knobs.first == [{"x": 0.2, "y": "a", "seconds": 0.0}]


def test_a_searched_group_is_completed_by_its_choice() -> None:
    own = own_plan("sweep.first=[{temperature.input: 0.6}]", arguments=(SEARCHED, "curation=choice(none,confidence)"))
    assert own.knobs.first == [{"temperature.input": 0.6, "curation": "none"}]
    assert set(own.binding.content["choices"]["curation"]) == {"none", "confidence"}


def test_the_record_may_name_the_sweep() -> None:
    assert plan("sweep.name=mine", "sweep.record=kept/${sweep.name}").knobs.record == "kept/mine"


def test_jobs_are_named_by_content() -> None:
    one, other = plan(), plan("sweep.sampler=tpe", "sweep.trials=3", "sweep.racing=off")
    job = Job(0, "t1", 0)
    assert one.study == other.study, "how it is searched is not what is searched"
    assert one.subfolder({"x": 0.1, "y": "a"}, job) == other.subfolder({"y": "a", "x": 0.1}, Job(5, "t1", 0))
    setting = {"x": 0.1, "y": "a"}
    others = [Job(0, "t1", 1), Job(0, "t2", 0)]
    assert (
        len({one.subfolder(setting, each) for each in (job, *others)} | {one.subfolder({**setting, "x": 0.2}, job)})
        == 4
    )
    assert plan("sweep.objective=worst_gain").study != one.study
    assert one.overrides({"x": 0.1, "y": "a"}, job)[:5] == ["log=x", "task=t1", "x=0.1", "y=a", "seed=0"]
