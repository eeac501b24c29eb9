"""An engine of `--config-dir` that costs nothing, so that a command can be killed often."""

from pathlib import Path

from selfguide.config.schema import RunConfig
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.testing.scripted import ScriptedEngine
from tests.tiny_task import colors

PRESET = """
name: scripted
_target_: tests.campaigns.scripted.engine
lifetime: keep
annotation_batch: 8
evaluation_batch: 6
"""


def engine(config: RunConfig) -> ScriptedEngine:
    return ScriptedEngine(load_prompt_tokenizer(config.model).decode, colors)


def write_preset(conf: Path) -> Path:
    """engine=scripted with --config-dir `conf`."""
    (conf / "engine").mkdir(parents=True, exist_ok=True)
    (conf / "engine" / "scripted.yaml").write_text(PRESET)
    return conf
