"""A small Hydra application whose score is looked up: a real job for the sweeper, without a model.

`python -m tests.sweeper.app` from the project's root, or from anywhere with it on the path. Each job
appends its setting to `log`, so that tests can count what really ran.
"""

import os
import time
from pathlib import Path

import hydra
from omegaconf import DictConfig


def score(task: int, x: float, y: str, seed: int) -> float:
    """0 to 1; every task has its optimum elsewhere, and seeds differ a little."""
    return round(max(0.0, 0.9 - abs(x - 0.1 * task) - (0.05 if y == "b" else 0.0) + 0.01 * seed), 6)


@hydra.main(version_base="1.3", config_path="app_conf", config_name="config")
def main(config: DictConfig) -> float:
    with Path(config.log).open("a") as log:
        log.write(f"{config.task.number} {config.x} {config.y} {config.seed} {os.getpid()}\n")
    time.sleep(config.seconds)
    if config.crash and config.x == config.crash_at and not Path(f"{config.log}.healed").exists():
        raise ValueError(f"crash at x={config.x}")
    return score(config.task.number, config.x, config.y, config.seed)


if __name__ == "__main__":
    main()
