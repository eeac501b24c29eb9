"""Self-ICL's demonstrations for each test input: calls, streams, store keys, resuming, what is read out of a reply."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from selfguide.config.schema import RunConfig
from selfguide.core.console import Terminal
from selfguide.core.errors import ConfigError
from selfguide.core.types import TaskSpec
from selfguide.methods.self_icl_stream import SelfICLPredictor
from selfguide.models.base import Completion, Progress, Request
from selfguide.models.session import Session
from selfguide.store import Journal
from selfguide.synthesis.replies import distinct, read_instances
from selfguide.tasks.load import load_task
from selfguide.testing.scripted import Answer, ScriptedEngine
from tests.composing import run_config
from tests.methods.running import TOKENIZER, scripted
from tests.tiny_task import smoke, write_task

STREAM: dict[str, Any] = {}
ONE_CALL: dict[str, Any] = {"method.one_call": True, "method.input_temperature": 0.0}
VARIANT = ("method=self_icl", "method.variant=test_conditioned")
TESTS = [f"Tom saw the {color} kite." for color in ("red", "blue", "green", "black", "white")]
NUMBERED = "New instance 1:"


def speak(prompt: str, seed: int, sample: int) -> str:
    """New inputs told apart by the request's seed; "light" to all else."""
    if prompt.rstrip().endswith(f"{NUMBERED}\nInput:"):
        wanted = int(re.findall(r"and (\d+) new", prompt)[0])
        return "\n\n".join(
            [f"one {seed}", *(f"New instance {n}:\nInput: no. {n} {seed}" for n in range(2, wanted + 1))]
        )
    return f"new {seed}" if "New inputs:" in prompt else "light"


@cache
def base(classification: bool) -> tuple[RunConfig, TaskSpec]:
    """The tiny task with the method's preset; composing takes longer than all that is tested here."""
    with TemporaryDirectory() as folder:
        task = write_task(Path(folder), classification=classification)
        config = run_config(*smoke(task, Path(folder) / "store", *VARIANT))
        return config, load_task(config.task, config.data, config.seed)[0]


def changed(node: Any, key: str, value: Any) -> Any:
    """A configuration with one value changed by its dotted key."""
    name, _, rest = key.partition(".")
    assert hasattr(node, name), key
    return replace(node, **{name: changed(getattr(node, name), rest, value) if rest else value})


def predictor(
    knobs: Mapping[str, Any],
    answer: Answer = speak,
    classification: bool = True,
    kind: type[ScriptedEngine] = ScriptedEngine,
) -> tuple[SelfICLPredictor, ScriptedEngine]:
    config, task = base(classification)
    for key, value in knobs.items():
        config = changed(config, key, value)
    engine = kind(TOKENIZER.decode, answer)
    return SelfICLPredictor(Session(config, task, Terminal(Console(file=io.StringIO())), engine=engine)), engine


def demonstrations(folder: Path, inputs: Sequence[str], knobs: Mapping[str, Any]) -> list[list[list[str]]]:
    made, _ = predictor(knobs)
    (folder / "journal.jsonl").unlink(missing_ok=True)
    with Journal(folder / "journal.jsonl") as journal:
        made.answer(inputs, journal)
        return [few for row in journal.rows for few in row["demonstrations"]]


@pytest.mark.parametrize(
    ("knobs", "calls"), [(ONE_CALL, 3 + 2), (STREAM, 2 * 3 + 1), (ONE_CALL | {"method.labels": "random"}, 2)]
)
def test_calls_of_an_input(knobs: dict[str, Any], calls: int, tmp_path: Path) -> None:
    made, engine = predictor(knobs)
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert made.answer(TESTS, journal) == ["light"] * len(TESTS)
        assert sum(row["tokens"][2] for row in journal.rows) == engine.tokens.calls == calls * len(TESTS)


@pytest.mark.parametrize("knobs", [ONE_CALL, STREAM])
def test_more_than_nine_demonstrations_stand_before_the_input(knobs: dict[str, Any], tmp_path: Path) -> None:
    made, engine = predictor(knobs | {"method.demonstrations": 12})
    with Journal(tmp_path / "journal.jsonl") as journal:
        made.answer(TESTS[:1], journal)
        [[shown]] = [row["demonstrations"] for row in journal.rows]
    assert len({text for text, _ in shown}) == 12
    last = engine.prompts[-1]
    assert [last.index(f"Input: {text}\nOutput: {output}") for text, output in shown] == sorted(
        last.index(f"Input: {text}\n") for text, _ in shown
    )
    assert last.endswith(f"Input: {TESTS[0]}\nOutput:")


@pytest.mark.parametrize("labels", ["zero_shot", "random"])
@pytest.mark.parametrize("knobs", [ONE_CALL, STREAM])
def test_an_input_has_its_demonstrations_in_any_batch_and_place(
    knobs: dict[str, Any], labels: str, tmp_path: Path
) -> None:
    knobs = knobs | {"method.labels": labels, "method.demonstrations": 8}
    whole = demonstrations(tmp_path, TESTS, knobs | {"evaluation.batch": 64})
    assert demonstrations(tmp_path, TESTS, knobs | {"evaluation.batch": 2}) == whole
    assert demonstrations(tmp_path, TESTS[3:], knobs) == whole[3:]
    assert demonstrations(tmp_path, TESTS, knobs | {"seed": 1}) != whole
    if labels == "random":
        assert {output for few in whole for _, output in few} == {"dark", "light"}
        assert len({tuple(output for _, output in few) for few in whole}) > 1


def test_a_killed_evaluation_goes_on_behind_the_last_batch(tmp_path: Path) -> None:
    knobs = ONE_CALL | {"evaluation.batch": 2}
    file = tmp_path / "journal.jsonl"
    made, _ = predictor(knobs)
    with Journal(file) as journal:
        answers = made.answer(TESTS, journal)
    whole = file.read_bytes()
    first = whole.splitlines(keepends=True)[0]
    file.write_bytes(first + b'{"answers": ["li')
    again, engine = predictor(knobs)
    resumed: list[int] = []
    with Journal(file) as journal:
        assert again.answer(TESTS, journal, resumed.append) == answers
    assert file.read_bytes() == whole
    assert resumed == [2, 2, 1]
    assert engine.tokens.calls == 5 * 3


READ = {
    "method.demonstrations": 2, "method.one_call": True, "method.input_temperature": 0.5, "method.labels": "random",
    "method.constrain_to_labels": True, "generation.max_new_tokens": 7, "seed": 3,
}  # fmt: skip
NOT_READ = {
    "method.keep_demonstrations": False, "method.balance_labels": False, "method.max_demonstrations": 3,
    "method.reserve": 0.5,
    "evaluation.batch": 3, "temperature.input": 0.2, "temperature.output": 0.9, "generation.rounds": 3,
    "annotation.max_new_tokens": 9,
}  # fmt: skip


def test_the_key_names_every_knob_that_is_read_and_no_other() -> None:
    key = predictor(STREAM)[0].identity
    assert len({key, *(predictor({knob: value})[0].identity for knob, value in READ.items())}) == 1 + len(READ)
    assert {predictor({knob: value})[0].identity for knob, value in NOT_READ.items()} == {key}
    # A task without labels cannot be restricted to them.
    free = predictor(STREAM, classification=False)[0].identity
    assert predictor({"method.constrain_to_labels": True}, classification=False)[0].identity == free


def test_another_length_of_new_inputs_is_another_stage(tmp_path: Path) -> None:
    more = (*VARIANT, "evaluation.limit=3")
    long = scripted(tmp_path, speak, *more, "generation.max_new_tokens=60", loop=False)
    short = scripted(tmp_path, speak, *more, "generation.max_new_tokens=5", loop=False)
    assert short.result["keys"] != long.result["keys"]
    again = scripted(tmp_path, speak, *more, "generation.max_new_tokens=60", "evaluation.batch=2", loop=False)
    assert again.result["keys"] == long.result["keys"]
    assert not again.engine.prompts


def test_no_reference_is_read(tmp_path: Path) -> None:
    ran = {}
    for name in ("clean", "poisoned"):
        (tmp_path / name).mkdir()
        task = write_task(tmp_path / name)
        content = json.loads(task.read_text())
        if name == "poisoned":
            content["instances"] = [{**row, "output": f"POISON {row['output']}"} for row in content["instances"]]
        task.write_text(json.dumps(content))
        # All of the test split: which half an instance falls into may depend on its output.
        more = (*VARIANT, "method.one_call=true", "data.validation_fraction=0.1")
        ran[name] = scripted(tmp_path / name, speak, *more, task=task, loop=False)
    shown = [{row["input"]: row["tuned"] for row in one.rows("predictions")} for one in ran.values()]
    both = shown[0].keys() & shown[1].keys()
    assert len(both) > 10
    assert [shown[0][text] for text in both] == [shown[1][text] for text in both]
    prompts = [{p for p in one.engine.prompts if any(text in p for text in both)} for one in ran.values()]
    assert prompts[0] == prompts[1]
    assert "POISON" not in "".join(ran["poisoned"].engine.prompts)


def test_a_reply_of_another_form_leaves_the_input_zero_shot(tmp_path: Path) -> None:
    made, engine = predictor(ONE_CALL, lambda prompt, *_: TESTS[0] if NUMBERED in prompt else "dark")
    with Journal(tmp_path / "journal.jsonl") as journal:
        assert made.answer(TESTS[:1], journal) == ["dark"]
        assert journal.rows[0]["demonstrations"] == [[]]
    assert engine.batches == [1, 0, 1]


def test_random_labels_need_labels_and_single_calls_need_chance() -> None:
    with pytest.raises(ConfigError, match=r"^method\.labels: random is not allowed for a task without labels; allowed"):
        predictor({"method.labels": "random"}, classification=False)
    with pytest.raises(
        ConfigError, match=r"^method\.input_temperature: 0\.0 is not allowed with method\.one_call=fals"
    ):
        run_config(*VARIANT, "method.input_temperature=0")
    run_config(*VARIANT, "method.input_temperature=0", "method.demonstrations=1")


# Lines of an input: no head of a block, no field name, no wrapping quotes, nothing to strip.
LINE = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=20).map(
    lambda text: f"a{text}z".replace(":", ";")
)
INPUTS = st.lists(st.lists(LINE, min_size=1, max_size=3).map("\n".join), min_size=1, max_size=14)


@settings(max_examples=50)
@given(INPUTS, st.sampled_from(["New instance {}:\nInput: {}", "**New instance {}:** {}", "new instance {}\n{}"]))
def test_what_is_numbered_is_read_back(inputs: list[str], form: str) -> None:
    inputs = [text for text in inputs if "new instance" not in text.lower()]
    blocks = [form.format(number, text) for number, text in enumerate(inputs, 1)]
    reply = "Sure! Here they are.\n\n" + "\n\n".join(blocks)
    assert read_instances(reply, len(inputs), opened=False) == inputs
    assert read_instances(reply, len(inputs), opened=False, cut=True) == inputs[:-1]
    assert read_instances(reply, 2, opened=False) == inputs[:2]
    with_outputs = "\n\n".join(f"{block}\nOutput: yes" for block in blocks)
    assert read_instances(with_outputs, 20, opened=False) == inputs
    continued = reply.partition(blocks[0])[2] if inputs else ""
    if inputs:
        assert read_instances(f" {inputs[0]}{continued}", 20, opened=True) == inputs


@settings(max_examples=50)
@given(st.text(), st.integers(1, 12), st.booleans(), st.booleans())
def test_any_reply_gives_whole_texts_and_no_more_than_asked(reply: str, count: int, opened: bool, cut: bool) -> None:
    found = read_instances(reply, count, opened=opened, cut=cut)
    assert len(found) <= count
    assert all(text and text == text.strip() and text in reply for text in found)


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(["A cat.", "a cat", "“A cat.”", "A dog.", "+", "-", ""])), st.sampled_from(["A CAT", "+"])
)
def test_neither_the_test_input_nor_a_repetition_is_kept(texts: list[str], test: str) -> None:
    kept = distinct(texts, test)
    assert "" not in kept and len(kept) <= 3
    if test == "A CAT":
        assert not {"A cat.", "a cat", "“A cat.”"} & set(kept)
    assert distinct(kept, test) == kept


class Interrupted(ScriptedEngine):
    """Every answer ends at its limit."""

    def generate(self, requests: Sequence[Request], progress: Progress | None = None) -> list[list[Completion]]:
        answers = [self._decode(request.prompt_ids).endswith("Output:") for request in requests]
        made = super().generate(requests, progress)
        return [
            [replace(one, finish="length") for one in some] if cut else some
            for some, cut in zip(made, answers, strict=True)
        ]


@pytest.mark.parametrize("constrained", [True, False])
def test_half_an_answer_is_no_demonstration_and_a_label_is_whole(constrained: bool, tmp_path: Path) -> None:
    made, _ = predictor(STREAM | {"method.constrain_to_labels": constrained}, kind=Interrupted)
    with Journal(tmp_path / "journal.jsonl") as journal:
        made.answer(TESTS[:1], journal)
        [[shown]] = [row["demonstrations"] for row in journal.rows]
    assert bool(shown) is constrained
