"""ReST and STaR: which answers are accepted, the hint, and whose answers the next round samples."""

import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from selfguide.core.console import Terminal
from selfguide.core.errors import ConfigError
from selfguide.core.types import Example, TaskSpec
from selfguide.pipeline import run
from selfguide.synthesis.acceptance import Acceptance
from selfguide.synthesis.candidates import Candidate, Sample
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config
from tests.methods.running import TOKENIZER, Ran, scripted
from tests.methods.test_worded_answers import GSM8K, solution, teacher
from tests.methods.test_worded_answers import write_task as write_pears
from tests.tiny_task import smoke
from tests.tiny_task import write_task as write_tiny

SAMPLES = ("annotation.samples=5", "annotation.best_of=5")
OUTPUTS = ("outputs", "outputs_2")


def right(row: dict[str, str]) -> bool:
    return row["output"].endswith(f"#### {sum(map(int, re.findall(r'[0-9]+', row['input'])))}")


def rest(folder: Path, answer: object, *overrides: str, name: str = "run") -> Ran:
    return scripted(folder, answer, *GSM8K, *SAMPLES, *overrides, task=write_pears(folder), loop=False, name=name)  # type: ignore[arg-type]


def test_several_wordings_of_the_elected_answer_are_trained_on(tmp_path: Path) -> None:
    many, one = (rest(tmp_path, teacher, "method=rest", f"method.per_input={n}", name=f"n{n}") for n in (3, 1))
    inputs = [row["input"] for row in many.rows("dataset")]
    assert max(map(inputs.count, inputs)) == 3 and all(map(right, many.rows("dataset")))
    assert len(set(map(str, many.rows("dataset")))) == len(inputs)
    first = [row["input"] for row in one.rows("dataset")]
    assert len(set(first)) == len(first) and set(first) == set(inputs)
    assert many.result["counts"]["train"] == len(inputs) and many.rounds[0]["accepted"] == len(first)
    for count in ("proposed", "accepted_inputs", "annotated"):  # of inputs, however many wordings an answer has
        assert many.result["counts"][count] == one.result["counts"][count], count


def test_gold_accepts_what_the_vote_would_not(tmp_path: Path) -> None:
    """Four of five samples agree on a wrong number; the fifth is right."""

    def mostly_wrong(prompt: str, seed: int, sample: int) -> str:
        return solution(prompt, seed, 0, wrong=sample != 3) if prompt.endswith("Output:") else teacher(prompt, seed, 0)

    voted = rest(tmp_path, mostly_wrong, "method=rest", name="voted")
    gold = rest(tmp_path, mostly_wrong, "method=star", "method.items=8", name="gold")
    assert voted.rows("dataset") and not any(map(right, voted.rows("dataset")))
    assert len(gold.rows("dataset")) == 8 and all(map(right, gold.rows("dataset")))
    assert (voted.result["claims_gold"], gold.result["claims_gold"]) == (False, True)
    scored = {row["input"] for row in gold.rows("predictions")}
    assert not scored & {row["input"] for row in gold.rows("dataset")}


@pytest.mark.parametrize("hinted", [True, False])
def test_a_hint_rationalizes_what_had_no_right_answer(hinted: bool, tmp_path: Path) -> None:
    def needs_a_hint(prompt: str, seed: int, sample: int) -> str:
        asked = prompt.rsplit("Input:", 1)[1]
        hint = re.search(r"\(answer: (\d+)\)", asked)
        easy = int(re.findall(r"\d+", asked)[0]) % 2 == 0
        return f"By hand {sample}.\n#### {hint[1]}" if hint else solution(prompt, seed, sample, wrong=not easy)

    ran = rest(tmp_path, needs_a_hint, "method=star", "method.items=12", f"method.rationalize={hinted}".lower())
    [notes] = ran.rounds
    rows, hints = ran.rows("dataset"), [prompt for prompt in ran.engine.prompts if "(answer:" in prompt]
    assert rows and all(map(right, rows)) and all("(answer:" not in row["input"] for row in rows)
    by_hand = [row for row in rows if row["output"].startswith("By hand")]
    assert (notes["accepted"], notes["rationalized"]) == (len(rows), len(by_hand))
    assert bool(by_hand) == bool(hints) == hinted and (len(rows) == 12) == hinted
    assert all(prompt.count("(answer:") == 4 for prompt in hints)  # three demonstrations have theirs


def test_balance_is_over_the_rationalized_rows_too(tmp_path: Path) -> None:
    """Without hints one light color alone has right answers, and balance leaves as many dark ones."""

    def nearly_all_dark(prompt: str, seed: int, sample: int) -> str:
        asked = prompt.rsplit("Input:", 1)[1]
        hint = re.search(r"\(answer: (\w+)\)", asked)
        return hint[1] if hint else "light" if "red" in asked else "dark"

    star = ("method=star", "method.items=8", *SAMPLES, "annotation.balance=downsample")
    ran = {
        hinted: scripted(
            tmp_path, nearly_all_dark, *star, f"method.rationalize={str(hinted).lower()}", loop=False, name=str(hinted)
        )
        for hinted in (False, True)
    }
    few, all_of_them = (Counter(row["output"] for row in ran[hinted].rows("dataset")) for hinted in (False, True))
    assert (ran[True].folder / "report.html").is_file()
    assert all_of_them == {"dark": 4, "light": 4} and 0 < few["dark"] == few["light"] < 4


def test_the_share_is_of_all_samples_and_an_answer_as_good_as_asked_is_accepted(tmp_path: Path) -> None:
    task = TaskSpec("t", "generation", "Add.", (Example("1 + 1", "2"),), metric="numeric_match")
    samples = (Sample("4", -1.0), Sample("4", -2.0), Sample("5", -1.5), Sample("and so on", -1.0, "cut_off"))
    config = run_config("method=rest")
    [made, *_] = Acceptance(1, 1.0, {"0": ("4",)}).accept(
        task, [Candidate("0", 0, "2 + 2", samples=samples)], config.annotation, config.filters
    )
    assert (made.output, made.share) == ("4", 0.5)


def test_a_label_is_one_row_however_often_it_is_sampled(tmp_path: Path) -> None:
    def dark(prompt: str, seed: int, sample: int) -> str:
        return "dark" if prompt.endswith("Output:") else f"Tom saw the black hat {seed}."

    ran = scripted(tmp_path, dark, *SAMPLES, "method=rest", loop=False)
    inputs = [row["input"] for row in ran.rows("dataset")]
    assert inputs and len(set(inputs)) == len(inputs)


def test_inputs_of_the_users_are_answered(tmp_path: Path) -> None:
    given = ["Ann has 4 pears and buys 5 more. How many?", "Bob has 1 plum and gets 2. How many?"]
    ran = rest(tmp_path, teacher, "method=rest", f"task.inputs=[{','.join(map(repr, given))}]")
    assert {row["input"] for row in ran.rows("dataset")} == set(given) and all(map(right, ran.rows("dataset")))


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (("method=rest", "method.rationalize=true"), "method.rationalize"),
        (("method=rest", "student=encoder_scratch"), "student.kind"),
        (("method=star", "task.inputs=[one]"), "task.inputs"),
    ],
)
def test_what_cannot_be_is_refused(overrides: tuple[str, ...], named: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(named)}: "):
        run_config(*overrides)


def test_each_round_samples_by_what_the_last_one_trained(tmp_path: Path) -> None:
    """On the bundled model: the first answers are SELF-GUIDE's, the second ones the first student's."""
    task, folder = write_tiny(tmp_path), tmp_path / "run"
    quiet = ("evaluation.controls=false", "evaluation.limit=2", "finetuning.max_epochs=1", "finetuning.epochs=1")
    found = {}
    for method in ("rest", "selfguide"):
        run(
            run_config(*smoke(task, tmp_path / "store", *quiet, f"method={method}")),
            folder,
            Terminal(Console(file=io.StringIO())),
        )
        found[method] = json.loads((folder / "result.json").read_text())
    result, keys = found["rest"], found["rest"]["keys"]
    assert found["selfguide"]["cache"]["outputs"] == "hit" and found["selfguide"]["keys"]["outputs"] == keys["outputs"]
    assert len({keys[name] for name in ("outputs", "outputs_2", "training_1", "training_2")}) == 4
    seeds = [json.loads((tmp_path / "store" / keys[name] / "spec.json").read_text())["seed"] for name in OUTPUTS]
    assert len(set(seeds)) == 2, "each round draws anew"
    assert keys["training"] == keys["training_2"] and result["status"] == "ok"
    sampled = [(tmp_path / "store" / keys[name] / "candidates.jsonl").read_text() for name in OUTPUTS]
    assert sampled[0] != sampled[1]
    assert [notes["round"] for notes in result["diagnostics"]["rounds"]] == [1, 2]


def test_a_round_that_accepts_nothing_leaves_the_student_of_the_one_before(tmp_path: Path) -> None:
    asked: set[tuple[str, int]] = set()

    def forgets(prompt: str, seed: int, sample: int) -> str:
        if not prompt.endswith("Output:"):
            return f"Tom saw the black hat {seed}."
        known, now = len(asked), (prompt.rsplit("Input:", 1)[1], sample)
        asked.add(now)
        return "dark" if len(asked) > known else "I cannot tell"

    quiet = ("evaluation.controls=false", "evaluation.limit=2", "evaluation.canary=false", "finetuning.max_epochs=1")
    task = write_tiny(tmp_path, classification=True)
    config = run_config(*smoke(task, tmp_path / "store", *quiet, "finetuning.epochs=1", "method=rest"))
    run(config, tmp_path / "run", Terminal(Console(file=io.StringIO())), ScriptedEngine(TOKENIZER.decode, forgets))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert "round 2 accepted no answer: the student of round 1 answers" in result["warnings"]
    assert result["status"] == "ok" and result["keys"]["training"] == result["keys"]["training_1"]
