"""A table's cells are composed together: each as it would be alone, and in a fraction of the time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from omegaconf import open_dict

from selfguide.apps.table import composing
from selfguide.apps.table.composing import Composer
from selfguide.apps.table.grid import Cell, grid
from selfguide.config.commands import typed_command
from selfguide.config.composing import composed, own_hydra
from selfguide.config.schema import RunConfig
from selfguide.config.table import TableConfig
from selfguide.config.validate import typed
from selfguide.core.errors import ConfigError


@pytest.fixture(autouse=True)
def _hydra() -> Iterator[None]:
    with own_hydra():
        yield


def cell(*overrides: str, task: str = "micro_find_food", seed: int = 0) -> Cell:
    return Cell("row", "group", task, seed, (f"task={task}", f"seed={seed}", *overrides))


def alone(one: Cell) -> RunConfig:
    config = compose("config", overrides=list(one.overrides))
    with open_dict(config):
        config.pop("hydra", None)
    return typed(config)


def test_each_cell_is_what_it_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    table = typed_command(composed(["+table=ablation_filters"], "table"), TableConfig)
    cells = [one for one in grid(table).cells if not one.takes and not any("frozen" in o for o in one.overrides)]
    chosen = cells[:: max(1, len(cells) // 8)]
    composer, counted = Composer(cells), 0

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal counted
        counted += 1
        return compose(*args, **kwargs)

    monkeypatch.setattr(composing, "compose", counting)
    made = [composer.composed(one) for one in cells]
    rows, tasks = {composing._parts(one.overrides)[0] for one in cells}, {one.task for one in cells}
    assert counted <= len(rows) + len(tasks)
    for one in chosen:
        assert made[cells.index(one)] == alone(one)


def test_cells_share_nothing_that_can_be_changed() -> None:
    composer = Composer()
    first, second = (composer.composed(cell(seed=seed)) for seed in (0, 1))
    assert (first.seed, second.seed) == (0, 1)
    second.task.labels = ["x"]
    second.finetuning.epochs = 77
    assert composer.composed(cell(seed=0)) == first != second


@pytest.mark.parametrize("reaching", ["store.root=runs/${task.name}", "finetuning.warmup_fraction=0.0${seed}"])
def test_a_row_that_reaches_for_task_or_seed_is_composed_for_each(reaching: str) -> None:
    composer = Composer()
    for task in ("micro_find_food", "micro_to_plan"):
        for seed in (0, 1):
            one = cell(f"{reaching}", task=task, seed=seed)
            assert composer.composed(one) == alone(one)


def test_a_task_of_more_than_its_node_is_composed_for_each(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text("# @package _global_\nseed: 5\ntask: {name: mine, source: micro}\n")
    assert composing._task_apart(["task=micro_find_food"])
    assert not composing._task_apart([]) and not composing._task_apart(["task=none_such"])


def test_a_mistake_is_said_of_each_cell_that_has_it() -> None:
    composer = Composer([cell(), cell("finetuning.epochs=9", "finetuning.max_epochs=3")])
    composer.composed(cell())
    for seed in (0, 1):
        with pytest.raises(ConfigError, match=r"finetuning\.epochs"):
            composer.composed(cell("finetuning.epochs=9", "finetuning.max_epochs=3", seed=seed))
