"""Altered frozen settings, with a hash that fits or not: a run takes them, or refuses them in one line."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from selfguide.config.identity import setting_values
from selfguide.config.validate import typed
from selfguide.search.content import data_settings, models_content, prompt_content, task_content
from selfguide.search.freeze import with_lock
from selfguide.search.frozen_config import VERSION, FrozenConfig, RunContent, load
from selfguide.tasks.load import load_task
from tests.campaigns.junk import alter_bytes, alter_value
from tests.campaigns.tally import Tally
from tests.composing import composed

pytestmark = pytest.mark.slow
SIZE = 800
TASK = "micro_color_word"


def test_altered_frozen_settings(tmp_path: Path, tally: Callable[[str, int], Tally]) -> None:
    counts, path = tally("altered frozen settings", SIZE), tmp_path / "lock.yaml"
    plain = composed(f"task={TASK}", f"frozen_config={path}")
    run = typed(composed(f"task={TASK}"))
    task, gold = load_task(run.task, run.data, 0)
    data, prompt, models = data_settings(run), prompt_content(run, task), models_content(run)
    asked = RunContent(TASK, "test", task.metric, gold.hash("test"), data, prompt, models)
    content: dict[str, Any] = {
        "version": VERSION,
        "name": "x",
        "setting": {"temperature.input": 0.65},
        "tasks": {"other": task_content(run, "validation")},
        "test_tasks": {TASK: task_content(run, "test")},
        "data": data,
        **models,
        "study": {"name": "x-1"},
        "values": {**setting_values(run), "temperature.input": 0.65},
    }

    def take() -> None:
        load(path).misfits(asked)
        typed(with_lock(OmegaConf.merge(plain), []))

    for number in counts.numbers:
        stream = random.Random(number)
        FrozenConfig(content).write(path)
        if stream.random() < 0.3:
            path.write_bytes(alter_bytes(path.read_bytes(), stream))
        else:
            altered = alter_value(content, stream)
            try:
                FrozenConfig(altered).write(path)
            except (ValueError, TypeError, AttributeError, RecursionError):  # NaN, half a surrogate pair: no hash fits
                path.write_text(yaml.safe_dump({**content, "values": str(altered)[:1000], "hash": "0" * 64}))
        counts.attempt(number, take)
