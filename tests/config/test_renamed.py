"""Names of earlier versions are refused with one line that names the new one."""

import json
from pathlib import Path

import pytest
import yaml
from hydra.errors import HydraException
from omegaconf import OmegaConf

from selfguide.analysis.folder import RunFolder
from selfguide.config.composing import composed as composed_command
from selfguide.config.composing import own_hydra
from selfguide.config.explain import explain
from selfguide.config.renamed import GONE, KEYS, VALUES, renamed_in, renamed_key, renamed_value
from selfguide.config.validate import out_of_range, typed
from selfguide.core.errors import ConfigError, DataError
from selfguide.search.frozen_config import load
from tests.composing import composed

# The groups in which a key exists.
GROUPS = {"method.max": "method=self_icl", "method": "method=loop", "engine": "engine=vllm", "sweep": "+sweep=default"}


def group_of(key: str) -> list[str]:
    return next(([choice] for start, choice in GROUPS.items() if key.startswith(start)), [])


@pytest.mark.parametrize("key", KEYS)
def test_an_old_key_is_refused_and_the_new_one_is_there(key: str) -> None:
    new = KEYS[key]
    if "." in new:
        known = composed(*group_of(new))
        node = OmegaConf.select(known, new.rpartition(".")[0])
        assert new.rpartition(".")[2] in node
    for written in (key, f"{key}.x"):
        with pytest.raises(HydraException) as refused:
            composed(*group_of(new), f"{written}=1")
        assert explain(refused.value) == renamed_key(written)
        with pytest.raises(ConfigError, match="was renamed; use "):
            typed(composed(*group_of(new), f"+{key}=1"))


@pytest.mark.parametrize(("key", "old"), VALUES)
def test_an_old_value_is_refused_and_the_new_one_is_not(key: str, old: str) -> None:
    if key == "table":  # an option that is added to the configuration of another command
        with own_hydra(), pytest.raises(ConfigError) as refused:
            composed_command([f"+table={old}"], "table")
        assert str(refused.value) == renamed_value(key, old)
        return
    with pytest.raises(ConfigError) as refused:
        typed(composed(*group_of(key), f"{key}={old}"))
    assert str(refused.value) == renamed_value(key, old)
    new = composed(*group_of(key), f"{key}={VALUES[key, old]}")
    assert not any(line.startswith(key) for line in out_of_range("", OmegaConf.to_object(new)))


def test_the_longest_match_counts_and_what_is_below_a_group_keeps_its_name() -> None:
    assert renamed_key("method.seed.least") == "method.seed.least: was renamed; use method.initial_data.min_items"
    assert (
        renamed_key("method.plan.draw.top_k") == "method.plan.draw.top_k: was renamed; use method.attributes.draw.top_k"
    )
    assert renamed_key("seed") is None and renamed_key("plan.steps") is None and renamed_key("lockstep") is None
    for line in GONE:
        assert renamed_value(*line.split("=")) is not None


def test_a_saved_configuration_names_each_old_knob_once() -> None:
    saved = {"method": {"seed": {"least": 3, "items": 4}, "name": "llm2llm"}, "annotation": {"share_of": "asked"}}
    assert [line.partition("; ")[2] for line in renamed_in(saved)] == [
        "use method.initial_data.min_items",
        "use method.initial_data.items",
        "use annotation.share_of=requested",
    ]
    assert [line.partition("; ")[2] for line in renamed_in({"annotation.asked_label_votes": 2})] == [
        "use annotation.conditioning_label_weight"
    ]


def test_a_lock_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    values = {"annotation.asked_label_votes": 20}
    content = {"version": 2, "setting": {}, "values": values, "tasks": {}, "hash": "?"}
    (tmp_path / "lock.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"earlier version .*use annotation.conditioning_label_weight"):
        load(tmp_path / "lock.yaml")


def test_a_run_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    (tmp_path / "details.json").write_text(json.dumps({"config": {"curation": {"least": None}}}))
    with pytest.raises(DataError, match=r"earlier version .*use curation.min_confidence"):
        _ = RunFolder.open(tmp_path).details


def test_nothing_that_is_shipped_uses_an_old_name() -> None:
    root = Path(__file__).resolve().parents[2]
    files = [file for name in ("conf", "experiments", "sweeps") for file in (root / name).rglob("*.yaml")]
    text = "\n".join(file.read_text() for file in files) + (root / "README.md").read_text()
    assert len(files) > 100
    assert [key for key in KEYS if "." in key and f"{key}=" in text] == []
    assert [*renamed_in(dict(composed()))] == []
