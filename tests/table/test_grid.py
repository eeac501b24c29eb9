"""The shipped tables are sound, the grid is what its YAML says, and mistakes are one line."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from selfguide.analysis.compare import BASELINE
from selfguide.apps.table.composing import Composer
from selfguide.apps.table.grid import grid, merged
from selfguide.apps.table.published import published
from selfguide.config.commands import typed_command
from selfguide.config.composing import own_hydra
from selfguide.config.table import TableConfig, table_problems
from selfguide.core.errors import DataError
from selfguide.core.paths import config_dir
from tests.composing import composed

SELFGUIDE = (
    "selfguide_main", "improvements", "table_main", "ablation_filters", "ablation_temperature", "scaling",
    "icl_vs_finetune",
)  # fmt: skip
TABLES = tuple(sorted(path.stem for path in (config_dir() / "table").glob("*.yaml") if path.stem != "paper_tasks"))
# 22 tasks of the paper: 14 of classification, 8 of generation.
PAPER = {path.stem for path in (config_dir() / "task").glob("task*.yaml")}


def table(name: str, *overrides: str) -> TableConfig:
    return typed_command(composed(f"+table={name}", *overrides, config_name="table"), TableConfig)


@pytest.mark.parametrize("name", SELFGUIDE)
@pytest.mark.parametrize("size", ["micro", "paper"])
def test_the_tables_of_selfguide(name: str, size: str) -> None:
    config = table(name, f"size={size}")
    assert config.name == name
    assert not list(table_problems(config))
    plan = grid(config)
    assert len(plan.cells) == len(plan.rows) * len(plan.seeds) * sum(len(g.tasks) for g in plan.groups.values())
    assert len({cell.overrides for cell in plan.cells}) == len(plan.cells)
    tasks = {cell.task for cell in plan.cells}
    assert tasks == PAPER if size == "paper" else all(task.startswith("micro_") for task in tasks)
    for group, content in plan.groups.items():
        family = "classification" if group.startswith("classification") else "generation"
        for task in content.tasks:
            options = OmegaConf.load(config_dir() / "task" / f"{task}.yaml")
            assert options.family == family, task
            # The micro scale stays on the test half; the paper's validation tasks are groups of their own.
            assert options.group == ("validation" if group.endswith("validation") else "test"), task


def test_the_main_table_has_every_method_and_three_seeds() -> None:
    plan = grid(table("table_main"))
    assert plan.seeds == (0, 1, 2)
    settings = {f"selfguide_{name}" for name in ("paper", "curated", "judged", "unweighted", "dpo")}
    assert {f"method={row}" for row in plan.rows if row not in settings} == {
        override for cell in plan.cells for override in cell.overrides if override.startswith("method=")
    }


def test_published_values_stand_beside_the_row_of_the_papers_settings() -> None:
    small, paper = (grid(table("table_main", f"size={size}")) for size in ("micro", "paper"))
    assert (small.standing_for("selfguide"), paper.standing_for("selfguide")) == ("selfguide_paper", "selfguide")
    assert small.standing_for("s3") == "s3"


def test_row_beats_group_beats_size_and_the_command_line_beats_all() -> None:
    assert merged(["a=1", "b=1", "c=1"], ["b=2", "c=2"], ["+c=3"]) == ("a=1", "b=2", "+c=3")
    config = table("ablation_temperature", 'overrides=["evaluation.limit=3"]')
    cell = grid(config).cells[0]
    assert "evaluation.limit=3" in cell.overrides
    assert "evaluation.limit=100" not in cell.overrides
    assert "temperature.input=0.6" in cell.overrides


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("size=huge", "size: 'huge' is not allowed; allowed: micro | paper"),
        ("equal=cents", "equal: 'cents' is not allowed; allowed: proposals | teacher_tokens | budget, or null"),
        (
            "rows.neither.only=[micro,nowhere]",
            "rows.neither: 'nowhere' is no size or group of the table; allowed: micro | paper",
        ),
        ("reference=nobody", "reference: 'nobody' is not allowed; allowed: baseline | "),
        ("again=[nobody]", "again: 'nobody' is not allowed"),
        ("sizes.micro.seeds=[0,0]", "sizes.micro.seeds: [0, 0] is not allowed; allowed: at least one, each once"),
        ("sizes.micro.groups.generation.tasks=[micro_barn_or_garage]", "barn_or_garage is in them more than once"),
    ],
)
def test_mistakes(override: str, said: str) -> None:
    problems = list(table_problems(table("ablation_filters", override)))
    assert len(problems) == 1
    assert said in problems[0]


def test_a_wrong_type_is_refused() -> None:
    with pytest.raises(Exception, match="seeds"):
        table("ablation_filters", "sizes.micro.seeds=[one]")


def test_published_values_name_their_source() -> None:
    found = published("published.yaml", table("table_main").published_as or "")
    of_s3 = published("published.yaml", "s3_table2")
    assert {value.over: (value.gain, value.largest) for value in of_s3} == {
        "ZeroGen": (9.48, False), "GoldGen": (2.73, False), "gold data": (15.17, True),
    }  # fmt: skip
    own = {value.on: (value.gain, value.metric) for value in found if value.row == "selfguide"}
    assert own == {"classification": (14.5, "exact match"), "generation": (17.9, "ROUGE-L")}
    of_llm2llm = published("published.yaml", "llm2llm_main")
    assert {value.on: value.gain for value in of_llm2llm} == {
        "gsm8k": 24.2, "casehold": 32.6, "snips": 32.0, "trec": 52.6, "sst2": 39.8,
    }  # fmt: skip
    assert {value.model for value in of_llm2llm} == {"Llama-2-7B taught by gpt-3.5-turbo"}
    scores = {value.on: value for value in found if value.score is not None}
    assert set(scores) == PAPER
    assert all(value.source and value.row == "few_shot_icl" for value in scores.values())
    assert published("published.yaml", "scaling") == []


@pytest.mark.parametrize("name", TABLES)
def test_a_published_value_has_its_place_in_the_table(name: str) -> None:
    config = table(name, "size=paper")
    plan = grid(config)
    labels = {row.label for row in plan.rows.values()} | {BASELINE}
    for value in published("published.yaml", config.published_as or name):
        row = plan.standing_for(value.row)
        assert row in plan.rows and value.over in (None, *labels)
        assert all(place in plan.groups or place in plan.tasks for place in value.places)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {table: t, row: r, on_: x}", "on_"),
        ("- {table: t, row: r, 'on': x, metric: m, model: m, score: 1.0}", "source"),
        ("- {table: t, row: r, 'on': x, metric: m, model: m, source: s}", "either score or gain"),
        ("- {table: t, row: r, 'on': x, metric: m, model: m, source: s, gain: 1.0}", "names what it is over"),
    ],
)
def test_a_published_value_without_source_or_value_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(DataError, match=said):
        published(str(tmp_path / "p.yaml"), "t")


@pytest.fixture(scope="module")
def composer() -> Composer:
    """One for all tables: they share their tasks."""
    return Composer()


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("size", ["micro", "paper"])
def test_every_cell_is_a_run(name: str, size: str, composer: Composer) -> None:
    config = table(name, f"size={size}")
    assert config.name == name and not list(table_problems(config))
    plan = grid(config)
    assert len({(cell.overrides, cell.takes) for cell in plan.cells}) == len(plan.cells)
    with own_hydra():
        for cell in {(cell.row, cell.task): cell for cell in plan.cells}.values():
            composer.composed(cell)


def test_rows_are_run_where_they_say() -> None:
    config = table("s3_table2", "size=paper")
    groups = {row: {cell.group for cell in grid(config).cells if cell.row == row} for row in config.rows}
    assert groups["s3"] == {"imdb", "qnli", "rte", "adversarial_qa"} and groups["progen"] == {"imdb"}
    small = grid(table("s3_table2"))
    assert "zerogen_published" not in small.rows and "progen" in small.rows
    [method] = {o for cell in grid(config).cells for o in cell.overrides if cell.task == "rte" and cell.row == "s3" and
                o.startswith("method=")}  # fmt: skip
    assert method == "method=s3_pairs"
