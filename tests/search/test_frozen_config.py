"""Locks: what is written is what is read, edits show, and a misfit is named."""

import copy
import functools
import operator
import re
from pathlib import Path
from random import Random

import pytest

from selfguide.core.errors import ConfigError
from selfguide.search.fingerprint import differences, fingerprint, study_name
from selfguide.search.freeze import with_lock
from selfguide.search.frozen_config import FrozenConfig, RunContent, find, load
from tests.composing import composed

DATA = {"split": "seeded", "split_seed": 42, "validation_fraction": 0.1}
PROMPT = {"labels": ["x", "y"], "instruction": "0123", "demonstrations": 3, "demonstration_texts": "4567"}
MODELS = {"model": {"identity": "sha256:1", "dtype": "auto"}, "engine": "hf"}
CONTENT = {
    "version": 2,
    "name": "mine",
    "setting": {"finetuning.learning_rate": 5e-05, "temperature.input": 0.7},
    "tasks": {"a": {"metric": "exact_match", "split": "validation", "hash": "aa", "prompt": PROMPT}},
    "test_tasks": {"b": {"metric": "exact_match", "split": "test", "hash": "bb", "prompt": PROMPT}},
    "data": DATA,
    **MODELS,
    "study": {"name": "mine-0123"},
    "values": {"temperature.input": 0.7, "finetuning.learning_rate": 5e-05, "filters.noise_terms": ["a: b", "no"]},
}


def test_round_trip(tmp_path: Path) -> None:
    lock = FrozenConfig(CONTENT)
    lock.write(tmp_path / "lock.yaml")
    again = load(tmp_path / "lock.yaml")
    assert again.content == CONTENT and again.hash == lock.hash
    assert again.setting["finetuning.learning_rate"] == 5e-05


def test_an_edited_lock_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lock.yaml"
    FrozenConfig(CONTENT).write(path)
    path.write_text(path.read_text().replace("temperature.input: 0.7", "temperature.input: 0.8"))
    with pytest.raises(ConfigError, match="edited after it was frozen"):
        load(path)


def test_not_a_lock(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: 1\n")
    with pytest.raises(ConfigError, match="is not a frozen setting"):
        load(tmp_path / "x.yaml")


@pytest.mark.parametrize("seed", range(40))
def test_an_altered_lock_is_one_line(seed: int, tmp_path: Path) -> None:
    """Cut, bytes changed, lines lost, types changed, huge: always a `ConfigError` of one line."""
    random, path = Random(seed), tmp_path / "lock.yaml"
    FrozenConfig(CONTENT).write(path)
    content = path.read_bytes()
    at = random.randrange(200, len(content))
    lines = content.splitlines(keepends=True)
    line = random.randrange(2, len(lines))
    junk = random.choice([b"&a", b"\x00", b"\xff", b"[", b"2001-01-01", b".nan", b"null", b"3", b"!!set {a}", b"? [x]"])
    path.write_bytes(
        random.choice(
            [
                content[:at],
                content[:at] + junk + content[at + 1 :],
                b"".join(lines[:line] + lines[line + 1 :]),
                b"".join([*lines[:line], lines[line].partition(b":")[0] + b": " + junk + b"\n", *lines[line + 1 :]]),
                re.sub(rb"\n(setting|values|tasks):\n(  .*\n)+", b"\n" + rb"\1: " + junk + b"\n", content),
                b"a: " + b"[" * 5000,
                b"a: &a [1, 1]\n"
                + b"".join(b"%c: &%c [%s]\n" % (i, i, b",".join([b"*%c" % (i - 1)] * 9)) for i in range(98, 110)),
                content + b"# " + b"x" * 5_000_000,
            ]
        )
    )
    if path.read_bytes() == content:
        return
    try:
        assert load(path).content == CONTENT  # a change of what YAML does not read
    except ConfigError as error:
        assert str(error).startswith("frozen_config: ") and "\n" not in str(error)


@pytest.mark.parametrize("junk", [3, None, [], "x", {"a": 1}, [[1]]], ids=str)
@pytest.mark.parametrize(
    "path",
    [
        *("setting", "values", "tasks", "test_tasks", "data", "data.split", "model", "model.identity", "study"),
        *("study.name", "tasks.a", "tasks.a.metric", "tasks.a.split", "tasks.a.hash", "tasks.a.prompt"),
        *("test_tasks.b", "test_tasks.b.metric", "test_tasks.b.split", "test_tasks.b.hash", "test_tasks.b.prompt"),
    ],
)
def test_a_wrong_type_is_one_line_whoever_hashed_it(path: str, junk: object, tmp_path: Path) -> None:
    content = copy.deepcopy(CONTENT)
    *parents, name = path.split(".")
    functools.reduce(operator.getitem, parents, content)[name] = junk
    FrozenConfig(content).write(tmp_path / "lock.yaml")
    run = RunContent("b", "test", "exact_match", "bb", DATA, PROMPT, MODELS)
    try:
        load(tmp_path / "lock.yaml").misfits(run)
    except ConfigError as error:
        assert re.match(r"frozen_config: \S+ is not a complete frozen setting: [\w.]+: ", str(error)), error
        assert "\n" not in str(error)
    else:
        assert path in ("setting", "values", "tasks", "test_tasks", "data", "data.split") or isinstance(
            junk, str | dict
        )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"task": "c"}, ["tasks: a, b -> c"]),
        ({"metric": "rouge_l"}, ["metric: exact_match -> rouge_l"]),
        ({"data_hash": "cc"}, ["b.test.hash: bb -> cc"]),
        ({"data": {**DATA, "split_seed": 1}}, ["data.split_seed: 42 -> 1"]),
        ({"prompt": {**PROMPT, "labels": ["x"]}}, ["b.prompt.labels: ['x', 'y'] -> ['x']"]),
        ({"prompt": {**PROMPT, "instruction": "89ab"}}, ["b.prompt.instruction: 0123 -> 89ab"]),
        ({"models": {**MODELS, "teacher": "gpt"}}, ["teacher: None -> gpt"]),
        (
            {"task": "a", "split": "validation", "data_hash": "aa"},
            ["a: chosen on its validation split; allowed: another split"],
        ),
        ({"task": "a", "split": "test"}, []),
        ({"split": "validation", "data_hash": "cc"}, []),
        ({"prompt": {**PROMPT, "demonstrations": 2}}, ["b.prompt.demonstrations: 3 -> 2"]),
        ({"prompt": {**PROMPT, "demonstration_texts": "89ab"}}, []),
        ({"models": {"model": {"identity": "sha256:1", "dtype": "float16"}}}, ["model.dtype: auto -> float16"]),
        ({"models": {"model": {"identity": "sha256:2", "dtype": "float16"}}}, []),
        ({"models": {**MODELS, "encoder": "scratch"}}, ["encoder: None -> scratch"]),
    ],
)
def test_misfits(change: dict[str, object], expected: list[str]) -> None:
    run = {"task": "b", "split": "test", "metric": "exact_match", "data_hash": "bb", "data": DATA}
    run.update({"prompt": PROMPT, "models": MODELS, **change})
    assert FrozenConfig(CONTENT).misfits(RunContent(**run)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [{"method.name": "x", "method.kind": ["a"]}, {"method.name": ["x"]}, {"filters.length_fallback": 10**400}],
    ids=["kind", "name", "number"],
)
def test_a_value_that_no_run_can_have_is_one_line(values: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "lock.yaml"
    FrozenConfig({**CONTENT, "values": values}).write(path)
    with pytest.raises(ConfigError, match="freeze it again") as error:
        with_lock(composed("task=task190", f"frozen_config={path}"), [])
    assert "\n" not in str(error.value)


def test_found_by_path_folder_or_name(tmp_path: Path) -> None:
    path = tmp_path / "mine" / "lock.yaml"
    FrozenConfig(CONTENT).write(path)
    assert find(str(path), tmp_path) == find(str(path.parent), tmp_path) == find("mine", tmp_path) == path
    with pytest.raises(ConfigError, match="there is no frozen setting 'other'"):
        find("other", tmp_path)


def test_the_lock_that_a_sweep_recorded_here_comes_before_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "shipped" / "mine" / "lock.yaml"
    FrozenConfig(CONTENT).write(shipped)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert find("mine", tmp_path / "shipped") == shipped
    FrozenConfig(CONTENT).write(Path("sweeps/mine/lock.yaml"))
    assert find("mine", tmp_path / "shipped") == Path("sweeps/mine/lock.yaml")


def test_fingerprint_ignores_order_and_sees_everything_else() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert study_name("x", {"a": 1}) == f"x-{fingerprint({'a': 1})}"
    assert list(differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "d": 4})) == [
        "a.b: 1 -> 3",
        "c: 2 -> (absent)",
        "d: (absent) -> 4",
    ]
