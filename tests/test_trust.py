"""What stands in a run's folder or a frozen setting is data: it sets no trust, sends nothing, reads no variable."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from selfguide.analysis.details import config_of
from selfguide.analysis.folder import RunFolder
from selfguide.apps.run_folder import config_to_load
from selfguide.config.overrides import quoted
from selfguide.config.trust import is_users_choice, literal
from selfguide.search.freeze import with_lock
from selfguide.search.frozen_config import VERSION, FrozenConfig
from tests.analysis.folders import write_run

PIECES = st.sampled_from(["${", "}", "\\", "oc.env:HOME", "a", "'", '"', " ", "${oc.env:HOME}"])


@given(st.lists(PIECES).map("".join))
def test_text_stays_what_it_is(text: str) -> None:
    config = OmegaConf.create({"key": literal([text])})
    assert OmegaConf.to_container(config, resolve=True) == {"key": [text]}


@given(st.lists(PIECES, min_size=1).map("".join))
def test_a_text_on_the_command_line_stays_what_it_is(text: str) -> None:
    override = OverridesParser.create().parse_override(f"key={quoted(text)}")
    config = OmegaConf.create({"key": override.value()})
    assert OmegaConf.to_container(config, resolve=True) == {"key": text}


def test_keys_of_trust() -> None:
    assert all(map(is_users_choice, ("model.trust_remote_code", "teacher.engine.base_url", "api_key_env")))
    assert not any(map(is_users_choice, ("model.path", "my_base_url", "base_url.length")))


def edited(folder: Path, **changes: dict[str, Any]) -> RunFolder:
    content = json.loads((folder / "details.json").read_text())
    for section, values in changes.items():
        content["config"][section] |= values
    (folder / "details.json").write_text(json.dumps(content))
    return RunFolder.open(folder)


def test_a_runs_folder_reads_no_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", "sesame")
    run = edited(write_run(tmp_path / "run", proposals=20, instances=10), model={"path": "${oc.env:OTHER}"})
    assert config_of(run.details).model.path == "${oc.env:OTHER}"


def test_what_a_runs_folder_asks_for_is_said_and_not_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path / "run", "engine=openai", proposals=20, instances=10)
    options: Any = SimpleNamespace(trust_remote_code=False, base_url="http://127.0.0.1:8000/v1", api_key_env="KEY")
    requested = {"base_url": "http://evil.example/v1", "api_key_env": "AWS_SECRET_ACCESS_KEY"}
    run = edited(folder, model={"trust_remote_code": True}, engine=requested)
    config: Any = config_to_load(run, options)
    assert config.model.trust_remote_code is False
    assert (config.engine.base_url, config.engine.api_key_env) == ("http://127.0.0.1:8000/v1", "KEY")
    lines = capsys.readouterr().err.splitlines()
    said = ["trust_remote_code", "base_url", "api_key_env"]
    assert [line.split("its ")[1].split("=")[0] for line in lines] == said
    assert "'http://evil.example/v1' is ignored" in lines[1]


def test_a_frozen_setting_reads_no_variable_and_sends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTHER", "sesame")
    values = {"filters.noise_terms": ["${oc.env:OTHER}"], "engine.base_url": "http://evil.example/v1"}
    content = {"setting": {}, "values": values, "tasks": {}, "test_tasks": {}, "data": {}, "version": VERSION}
    FrozenConfig({**content, "model": {"identity": "x"}, "study": {"name": "x"}}).write(tmp_path / "x.yaml")
    config = OmegaConf.create(
        {
            "frozen_config": str(tmp_path / "x.yaml"),
            "filters": {"noise_terms": []},
            "engine": {"base_url": "http://127.0.0.1:1/v1"},
            "method": {"name": "selfguide", "kind": "selfguide"},
        }
    )
    locked: Any = OmegaConf.to_container(with_lock(config, []), resolve=True)
    assert locked["filters"]["noise_terms"] == ["${oc.env:OTHER}"]
    assert locked["engine"]["base_url"] == "http://127.0.0.1:1/v1"
    assert "sets engine.base_url, which only the command line may set" in caplog.text


@pytest.mark.parametrize("key", ["data.url", "store.root", "model.path", "tracking.kind"])
def test_a_frozen_setting_sets_knobs_of_the_method_alone(
    key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = {"setting": {}, "values": {key: "evil"}, "tasks": {}, "test_tasks": {}, "data": {}, "version": VERSION}
    FrozenConfig({**content, "model": {"identity": "x"}, "study": {"name": "x"}}).write(tmp_path / "x.yaml")
    config = OmegaConf.create({"frozen_config": str(tmp_path / "x.yaml")})
    OmegaConf.update(config, key, "mine")
    assert OmegaConf.select(with_lock(config, []), key) == "mine"
    assert f"sets {key}, which only the command line may set" in caplog.text
