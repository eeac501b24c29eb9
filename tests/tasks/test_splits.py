import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.core.errors import ConfigError, DataError
from selfguide.core.types import Example, Instance
from selfguide.tasks.raw import RawTask
from selfguide.tasks.splits import content_split, listed_split, reference_split, seeded_split, split_folder


def task(rows: list[tuple[str, str]]) -> RawTask:
    instances = tuple(Instance(f"t-{i}", text, (output, "other")) for i, (text, output) in enumerate(rows))
    return RawTask("t", "Do it.", (Example("a", "b"),), instances, "t.json")


def test_seeded_is_stratified_and_seeded() -> None:
    raw = task([(f"input {i}", "yes" if i % 10 else "no") for i in range(1000)])
    first = seeded_split(raw, 0.1, 42, "t", stratify=True)
    assert Counter(row.references[0] for row in first["validation"]) == {"yes": 90, "no": 10}
    assert first == seeded_split(raw, 0.1, 42, "t", stratify=True)
    assert first != seeded_split(raw, 0.1, 43, "t", stratify=True)


@pytest.mark.parametrize(("count", "fraction", "validation"), [(19, 0.1, 2), (14, 0.1, 1), (7, 0.5, 4), (3, 0.01, 1)])
def test_the_fraction_is_rounded_to_the_nearest_and_never_to_none(count: int, fraction: float, validation: int) -> None:
    raw = task([(f"input {i}", "yes" if i % 3 else "no") for i in range(count)])
    for stratify in (True, False):
        splits = seeded_split(raw, fraction, 42, "t", stratify=stratify)
        assert (len(splits["validation"]), len(splits["test"])) == (validation, count - validation)


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y"])), min_size=2, max_size=40),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
    st.booleans(),
)
def test_seeded_is_a_partition_that_keeps_equal_inputs_together(
    rows: list[tuple[str, str]], fraction: float, seed: int, stratify: bool
) -> None:
    raw = task(rows)
    splits = seeded_split(raw, fraction, seed, "t", stratify=stratify)
    assert sorted(row.id for rows in splits.values() for row in rows) == sorted(row.id for row in raw.instances)
    assert not {row.input for row in splits["validation"]} & {row.input for row in splits["test"]}


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y"])), min_size=2, max_size=40),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
    st.randoms(),
)
def test_a_split_by_content_does_not_depend_on_names_and_order(
    rows: list[tuple[str, str]], fraction: float, seed: int, stream: random.Random
) -> None:
    splits = content_split(task(rows), fraction, seed)
    mixed = content_split(replace(task(stream.sample(rows, len(rows))), name="other"), fraction, seed)
    for split, gold in splits.items():
        assert [row.input for row in gold] == [row.input for row in mixed[split]]
    assert sum(map(len, splits.values())) == len(rows)
    assert not {row.input for row in splits["validation"]} & {row.input for row in splits["test"]}


@pytest.mark.parametrize("labels", [2, 20, 1000], ids=["classification", "many labels", "generation"])
def test_a_split_by_content_hardly_moves_when_a_few_rows_leave(labels: int) -> None:
    rows = [(f"input {index}", f"output {index % labels}") for index in range(1000)]
    splits = content_split(task(rows), 0.1, 42)
    assert len(splits["validation"]) == 100
    if labels <= 20:
        assert set(Counter(row.references[0] for row in splits["validation"]).values()) == {100 // labels}
    tested = {row.input for row in splits["test"]}
    for seed in range(5):
        fewer = random.Random(seed).sample(rows, 990)
        moved = [row for row in content_split(task(fewer), 0.1, 42)["validation"] if row.input in tested]
        assert len(moved) <= 5, "as many as left the validation split, and what rounding gives"
    assert splits != content_split(task(rows), 0.1, 43)


def test_two_instances_are_enough_for_both_splits() -> None:
    splits = seeded_split(task([("a", "x"), ("b", "x")]), 0.1, 0, "t", stratify=False)
    assert len(splits["validation"]) == len(splits["test"]) == 1


def write_ids(folder: Path, split: str, *ids: str) -> None:
    (folder / split).mkdir(parents=True, exist_ok=True)
    (folder / split / "t.txt").write_text("\n".join(ids) + "\n")


def test_listed_keeps_the_order_of_the_list(tmp_path: Path) -> None:
    write_ids(tmp_path, "test", "t-2", "t-0")
    splits = listed_split(task([("a", "x"), ("b", "x"), ("c", "x")]), tmp_path)
    assert [row.id for row in splits["test"]] == ["t-2", "t-0"]
    assert splits["validation"] == ()


@pytest.mark.parametrize(
    ("test_ids", "message"),
    [
        (["t-9"], r"t\.txt line 1: t\.json has no instance 't-9'"),
        (["t-0", "t-0"], r"line 2: 't-0' is already listed at .*line 1"),
        (["t-1"], r"line 1: 't-1' is already listed at .*validation"),
    ],
)
def test_listed_mistakes(tmp_path: Path, test_ids: list[str], message: str) -> None:
    write_ids(tmp_path, "validation", "t-1")
    write_ids(tmp_path, "test", *test_ids)
    with pytest.raises(DataError, match=message):
        listed_split(task([("a", "x"), ("b", "x")]), tmp_path)


def test_listed_without_a_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lists no instances for t"):
        listed_split(task([("a", "x")]), tmp_path)
    with pytest.raises(ConfigError, match=r"data\.split_path: required for data\.split=ids"):
        split_folder(None, "ids")
    with pytest.raises(ConfigError, match="is not a folder"):
        split_folder(str(tmp_path / "none"), "ids")


@pytest.mark.parametrize("folder", ["validation", "eval"])
def test_reference_reads_saved_datasets(tmp_path: Path, folder: str) -> None:
    rows = {"input_col": ["b", "unknown"], "output_col": ["x", "x"]}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "test" / "t")
    datasets.Dataset.from_dict({"input_col": ["a"], "output_col": ["x"]}).save_to_disk(tmp_path / folder / "t")
    splits = reference_split(task([("a", "x"), ("b", "x")]), tmp_path)
    assert splits["test"] == (Instance("t-1", "b", ("x", "other")), Instance("t-test-1", "unknown", ("x",)))
    assert [row.id for row in splits["validation"]] == ["t-0"]


def test_reference_rows_that_are_alike_have_different_ids(tmp_path: Path) -> None:
    rows = {"input_col": ["a", "a"], "output_col": ["x", "x"]}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "test" / "t")
    assert [row.id for row in reference_split(task([("a", "x")]), tmp_path)["test"]] == ["t-0", "t-test-1"]


def test_reference_mistakes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no t "):
        reference_split(task([("a", "x")]), tmp_path)
    (tmp_path / "test" / "t").mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be read as a saved dataset"):
        reference_split(task([("a", "x")]), tmp_path)
    datasets.Dataset.from_dict({"text": ["a"]}).save_to_disk(tmp_path / "test" / "t")
    with pytest.raises(DataError, match="expected input_col and output_col"):
        reference_split(task([("a", "x")]), tmp_path)
