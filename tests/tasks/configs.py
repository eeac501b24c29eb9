"""Task and data configurations for tests, with the defaults of `conf/data`."""

from pathlib import Path
from typing import Any

from selfguide.config.schema import DataConfig, TaskConfig


def data_config(**changes: Any) -> DataConfig:
    values: dict[str, Any] = {
        "root": None,
        "cache": "/nonexistent",
        "url": "http://127.0.0.1:9",
        "timeout_s": 1.0,
        "retries": 0,
        "split": "seeded",
        "split_path": None,
        "validation_fraction": 0.1,
        "split_seed": 42,
    }
    return DataConfig(**values | changes)


def json_task(path: Path, **changes: Any) -> TaskConfig:
    return TaskConfig(**{"name": "mine", "source": "json", "path": str(path), **changes})


def sni_task(task_id: str, **changes: Any) -> TaskConfig:
    return TaskConfig(**{"name": task_id, "source": "sni", "id": task_id, **changes})
