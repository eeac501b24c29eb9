"""A small Hydra application whose score is looked up: a real job for the sweeper, without a model.

`python -m tests.sweeper.app` from the project's root, or from anywhere with it on the path. Each job
appends its setting to `log`, so that tests can count what really ran.
"""

import json
import os
import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig


def score(task: int, x: float, y: str, seed: int) -> float:
    """0 to 1; every task has its optimum elsewhere, and seeds differ a little."""
    return round(max(0.0, 0.9 - abs(x - 0.1 * task) - (0.05 if y == "b" else 0.0) + 0.01 * seed), 6)


def baseline(task: int) -> float:
    """Of few-shot prompting; the last task is the one with room above it."""
    return 0.75 - 0.2 * task


def leave_result(folder: Path, task: int, value: float, empty: bool) -> None:
    """What a run of selfguide leaves for a sweep; one without training data scores as its baseline."""
    value = baseline(task) if empty else value
    content = {
        "status": "empty_dataset" if empty else "ok",
        "score": {"value": value},
        "baseline": {"value": baseline(task)},
        "metric": "exact_match",
    }
    # 100 instances, right or wrong in the shares of the scores.
    rows = [
        {"tuned_score": float(place < round(100 * value)), "baseline_score": float(place < round(100 * baseline(task)))}
        for place in range(100)
    ]
    (folder / "predictions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "result.json").write_text(json.dumps(content))


@hydra.main(version_base="1.3", config_path="app_conf", config_name="config")
def main(config: DictConfig) -> float:
    with Path(config.log).open("a") as log:
        log.write(f"{config.task.number} {config.x} {config.y} {config.seed} {os.getpid()}\n")
    time.sleep(config.seconds)
    if config.crash and config.x == config.crash_at and not Path(f"{config.log}.healed").exists():
        raise ValueError(f"crash at x={config.x}")
    value = score(config.task.number, config.x, config.y, config.seed)
    if config.x == config.lucky and config.seed == 0:
        value = min(1.0, value + 0.2)
    if config.result:
        leave_result(Path(HydraConfig.get().runtime.output_dir), config.task.number, value, config.x == config.empty_at)
    return value


if __name__ == "__main__":
    main()
