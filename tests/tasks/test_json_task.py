"""The user's file: the three forms, and one clear line for everything else."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.core.errors import ConfigError, DataError
from selfguide.core.types import Example, Instance
from selfguide.tasks.json_task import parse_task_text, read_json_task

SIMPLE: dict[str, Any] = {
    "instruction": "Answer.",
    "examples": [{"input": "a", "output": "yes"}],
    "instances": [{"input": "b", "output": ["no", "never"]}, {"id": "x", "input": "c", "output": "yes"}],
}
EXPECTED = (Instance("mine-0", "b", ("no", "never")), Instance("x", "c", ("yes",)))


def test_simple_json() -> None:
    task = parse_task_text(json.dumps(SIMPLE), "mine", "f.json", lines=False)
    assert (task.instruction, task.demonstrations, task.instances) == ("Answer.", (Example("a", "yes"),), EXPECTED)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["yes"], "at least two different texts"),
        (["yes", "yes "], "at least two different texts"),
        ([True, "no"], r"labels\[0\]: expected a string"),
        ("yes", "labels"),
    ],
)
def test_labels_that_are_none(labels: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_task_text(json.dumps({**SIMPLE, "labels": labels}), "mine", "f.json", lines=False)


def test_labels_of_both_forms() -> None:
    head = {"instruction": "Answer.", "labels": ["yes", " no"]}
    simple = parse_task_text(json.dumps({**SIMPLE, **head}), "mine", "f.json", lines=False)
    lines = "\n".join(map(json.dumps, [head, *SIMPLE["instances"]]))
    assert simple.labels == parse_task_text(lines, "mine", "f.jsonl", lines=True).labels == ("yes", "no")


def test_sni_form() -> None:
    document = {
        "Definition": ["Answer.", "Briefly."],
        "Positive Examples": [{"input": "a", "output": "yes", "explanation": "so"}],
        "Instances": SIMPLE["instances"],
    }
    task = parse_task_text(json.dumps(document), "mine", "f.json", lines=False)
    assert (task.instruction, task.instances) == ("Answer.\nBriefly.", EXPECTED)


def test_jsonl(tmp_path: Path) -> None:
    lines: list[Any] = [{"instruction": "Answer."}, SIMPLE["instances"][0]]
    lines += [{"input": "a", "output": "yes", "demonstration": True}, SIMPLE["instances"][1]]
    path = tmp_path / "mine.jsonl"
    # A byte-order mark, Windows line ends and blank lines do no harm; nor do other separators in strings.
    path.write_text(
        "\ufeff" + "\r\n\r\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8"
    )
    task = read_json_task(str(path), "mine")
    assert (task.instruction, task.demonstrations, task.instances) == ("Answer.", (Example("a", "yes"),), EXPECTED)


def test_line_separators_inside_a_string() -> None:
    text = '{"instruction": "A"}\n{"input": "a\u2028b", "output": "c"}'
    assert parse_task_text(text, "m", "f", lines=True).instances[0].input == "a\u2028b"


def changed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**SIMPLE, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed(instruction=...), 'has neither "instruction" nor "Definition" (keys found: examples, instances)'),
        (changed(instruction=" "), "instruction: is empty"),
        (changed(instances={}), '"instances" must be a list, found an object'),
        (changed(instances=["x"]), "instances[0]: expected an object, found str (x)"),
        (changed(instances=[{"output": "x"}]), 'instances[0]: has no "input"'),
        (changed(instances=[{"input": "x"}]), 'instances[0]: has no "output"'),
        (changed(instances=[{"input": "x", "output": []}]), "instances[0].output: is an empty list"),
        (changed(instances=[{"input": "x", "output": True}]), "found true/false (True); put it in quotes"),
        (changed(instances=[{"input": "x", "output": [1]}]), "output[0]: expected a string, found a number (1)"),
        (changed(instances=[{"id": "i", "input": "x", "output": ""}] * 2), 'instances 0 and 1 share the id "i"'),
        (changed(examples=[{"input": "", "output": "x"}]), "examples[0].input: is empty"),
        (changed(examples=7), '"examples" must be a list, found a number (7)'),
        ({"Definition": "x", "Instances": [], "Positive Examples": {}}, '"Positive Examples" must be a list'),
        ({"Definition": [], "Instances": [1]}, '"Definition" is empty'),
        ([], "expected an object, found a list"),
        (None, "expected an object, found nothing"),
    ],
)
def test_mistakes_name_the_place(document: Any, message: str) -> None:
    with pytest.raises(DataError) as error:
        parse_task_text(json.dumps(document), "mine", "mine.json", lines=False)
    assert message in str(error.value)
    assert str(error.value).startswith("mine.json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'is empty; the first line must be {"instruction"'),
        ('{"input": "a"}', 'line 1 (the first): has no "instruction"'),
        ('{"instruction": "a"}\n{"input": }', "line 2 column 11: not valid JSON"),
        ('{"instruction": "a"}\n{"input": "a", "output": "b", "demonstration": 1}', "must be true or false"),
    ],
)
def test_mistakes_in_jsonl(text: str, message: str) -> None:
    with pytest.raises(DataError) as error:
        parse_task_text(text, "mine", "mine.jsonl", lines=True)
    assert message in str(error.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"task\.path: required"):
        read_json_task(None, "mine")
    with pytest.raises(DataError, match="no file"):
        read_json_task(str(tmp_path / "none.json"), "mine")
    with pytest.raises(DataError, match="has no text files below folders"):
        read_json_task(str(tmp_path), "mine", "Do.")
    (tmp_path / "latin.json").write_bytes(b'{"instruction": "caf\xe9"}')
    with pytest.raises(DataError, match="is not UTF-8"):
        read_json_task(str(tmp_path / "latin.json"), "mine")
    (tmp_path / "cut.json").write_text('{"instruction": "a", ')
    with pytest.raises(DataError, match="line 1 column 22: not valid JSON"):
        read_json_task(str(tmp_path / "cut.json"), "mine")


def test_hostile_json() -> None:
    for text in ("[" * 100_000, '{"instruction": ' + "1" * 10_000 + "}", '{"instruction": "\\ud800"}'):
        with pytest.raises(DataError) as error:
            parse_task_text(text, "mine", "f", lines=False)
        assert "\n" not in str(error.value)


texts = st.text(min_size=1).filter(str.strip)
outputs = st.one_of(st.text(), st.lists(st.text(), min_size=1, max_size=3))


@given(
    texts,
    st.lists(st.tuples(texts, outputs), max_size=3),
    st.lists(st.tuples(st.text(), outputs), min_size=1, max_size=5),
    st.booleans(),
)
def test_what_is_written_is_read(
    instruction: str, examples: list[tuple[str, Any]], instances: list[tuple[str, Any]], lines: bool
) -> None:
    shots = [{"input": text, "output": output} for text, output in examples]
    rows = [{"input": text, "output": output} for text, output in instances]
    if lines:
        marked = [{**shot, "demonstration": True} for shot in shots]
        text = "\n".join(
            json.dumps(item, ensure_ascii=False) for item in [{"instruction": instruction}, *marked, *rows]
        )
    else:
        text = json.dumps({"instruction": instruction, "examples": shots, "instances": rows})
    task = parse_task_text(text, "m", "f", lines=lines)
    assert task.instruction == instruction
    assert [(d.input, d.output) for d in task.demonstrations] == [
        (text, output if isinstance(output, str) else output[0]) for text, output in examples
    ]
    assert [(i.input, i.references) for i in task.instances] == [
        (text, (output,) if isinstance(output, str) else tuple(output)) for text, output in instances
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["instruction", "examples", "instances", "input", "output", "id", "Definition", "Instances"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values, st.booleans())
def test_any_json_is_a_task_or_a_data_error(document: Any, lines: bool) -> None:
    try:
        parse_task_text(json.dumps(document), "m", "f", lines=lines)
    except DataError as error:
        assert "\n" not in str(error)


@given(st.text(), st.booleans())
def test_any_text_is_a_task_or_a_data_error(text: str, lines: bool) -> None:
    with contextlib.suppress(DataError):
        parse_task_text(text, "m", "f", lines=lines)
