"""The two tables of docs/methods/paper_protocol.md against the configuration that `protocol=paper` composes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from selfguide.core.paths import config_dir
from tests.composing import composed

PAGE = (Path(__file__).parents[2] / "docs" / "methods" / "paper_protocol.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([\w.]+)` \| (.+?) \|", re.MULTILINE)
SET, DIFFERENT = PAGE.split("## What still differs")


def flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values by full key."""
    found: dict[str, Any] = {}
    for name, value in node.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


@pytest.mark.parametrize("model", ["micro", "vicuna_7b_v1_5"])
def test_every_listed_key_has_the_listed_value_whatever_the_model(model: str) -> None:
    config = composed(f"model={model}", "protocol=paper")
    for key, value in ROW.findall(SET):
        assert OmegaConf.select(config, key, throw_on_missing=True) == yaml.safe_load(f"[{value}]")[0] or (
            float(OmegaConf.select(config, key)) == float(value)
        ), key


def test_every_key_of_the_file_is_listed() -> None:
    content = yaml.safe_load((config_dir() / "protocol" / "paper.yaml").read_text(encoding="utf-8"))
    assert set(flat(content)) - {"protocol"} == {key for key, _ in ROW.findall(SET)}


def test_what_stays_different_names_keys_and_values_that_there_are() -> None:
    named = re.findall(r"`(\w+\.[\w.]+)(?:=(\w+))?`", DIFFERENT)
    assert len(named) >= 5
    for key, value in named:
        sweep = ("+sweep=default",) if key.startswith("sweep.") else ()
        config = composed(*sweep, *([f"{key}={value}"] if value else []))
        assert OmegaConf.select(config, key, throw_on_missing=True) is not None, key
    rows = [line for line in DIFFERENT.splitlines() if line.startswith("| ")][1:]
    assert all(len(re.split(r"(?<!\\)\|", row)) == 5 and row.rstrip("| ") for row in rows)
