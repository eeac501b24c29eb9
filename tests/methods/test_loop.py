"""The loop on a scripted model, exactly. What is asserted, each against a bug of a published implementation:

- the student is diagnosed with the very prompt that it is trained and evaluated on;
- novelty is judged against all earlier rounds, the seed and the exemplars, on words;
- no gold pair becomes a training row, no test input reaches a prompt or a row, no wrapping quotes are kept;
- two texts that differ in case and punctuation are one;
- a reply that cannot be read is dropped with its reason, after a bounded number of calls, within the call budget;
- k new items for an error are k different records; only errors, or all, or as many as errors, are extrapolated;
- the schedule, the coin and the pool of in-context feedback;
- the same seed gives the same bytes; methods that claim no gold do not depend on it;
- S3 without rounds is ZeroGen.
"""

import json
from pathlib import Path

import pytest

from selfguide.config.loop import feedback_points
from selfguide.core.errors import ConfigError
from selfguide.prompts.selfguide import answer_prompt
from selfguide.tasks.load import load_task
from tests.composing import run_config
from tests.methods.running import scripted
from tests.tiny_task import COLORS, THINGS, smoke, write_task

SMALL = ("method.initial_data.items=12", "method.attributes.items=4")
DARK = ("black", "brown", "blue")
SEEN = ("black", "brown")  # the scripted student does not know that blue is dark


def student(prompt: str) -> str:
    return "dark" if any(color in prompt.rsplit("Input:", 1)[1] for color in SEEN) else "light"


def writer(prompt: str, seed: int, sample: int) -> str:
    if prompt.endswith("Output:"):
        return student(prompt)
    return f"Eva has the {COLORS[seed % 6]} {THINGS[seed // 6 % 5]} number {seed % 100000}."


def pairs_writer(prompt: str, seed: int, sample: int) -> str:
    if prompt.endswith("Output:"):
        return student(prompt)
    return f"{writer(prompt, seed, sample)}\nOutput: dark"


def gold(folder: Path) -> tuple[set[str], set[str]]:
    """Inputs of the validation and of the test split of the tiny task."""
    config = run_config(*smoke(write_task(folder, classification=True), folder / "unused"))
    _, data = load_task(config.task, config.data, config.seed)
    return {row.input for row in data.open("validation")}, {row.input for row in data.open("test")}


def asked_for_inputs(prompts: list[str]) -> list[str]:
    return [prompt for prompt in prompts if not prompt.endswith("Output:")]


def test_the_student_is_asked_as_it_is_evaluated(tmp_path: Path) -> None:
    ran = scripted(tmp_path, writer, "method=s3", *SMALL)
    validation, _ = gold(tmp_path)
    config = run_config(*smoke(tmp_path / "shade.json", tmp_path / "unused"))
    task, _ = load_task(config.task, config.data, config.seed)
    for text in validation:
        assert ran.engine.prompts.count(answer_prompt(task, text).plain()) == 1, "the second diagnosis is found"
    spent = ran.result["costs"]["method"]
    assert spent["student_calls"] == len(validation)
    teacher = sum(count["calls"] for name, count in ran.result["tokens"].items() if name[:4] in ("plan", "prop"))
    assert (spent["teacher_calls"], spent["calls"]) == (teacher, teacher + len(validation))


def test_errors_alone_are_extrapolated(tmp_path: Path) -> None:
    ran = scripted(tmp_path, writer, "method=s3", *SMALL, "method.propose.per_exemplar=2")
    validation, _ = gold(tmp_path)
    errors = {text for text in validation if "blue" in text}
    assert [notes.get("errors") for notes in ran.rounds] == [len(errors), len(errors), None]
    added = [row for row in ran.rows("candidates") if row["round"] > 0]
    assert {row["exemplar"] for row in added} == errors
    assert len(added) == 2 * 2 * len(errors)
    assert len({row["id"] for row in added}) == len({row["input"] for row in added}) == len(added)
    assert {row["output"] for row in added} == {"dark"}, "inherited from the exemplar"


def test_goldgen_extrapolates_right_and_wrong_as_many_as_errors(tmp_path: Path) -> None:
    s3 = scripted(tmp_path, writer, "method=s3", *SMALL, name="s3")
    matched = scripted(tmp_path, writer, "method=goldgen", *SMALL, name="goldgen")
    assert [notes["rows"] for notes in matched.rounds] == [notes["rows"] for notes in s3.rounds]
    exemplars = {row["exemplar"] for row in matched.rows("candidates") if row["round"] > 0}
    assert any("blue" not in text for text in exemplars)
    more = ("method.diagnose.match_errors=false", "method.loop.rows=30")
    every = scripted(tmp_path, writer, "method=goldgen", *SMALL, *more, name="all")
    assert every.result["diagnostics"]["stopped"] == "rows"
    assert every.result["counts"]["train"] == every.result["counts"]["synthetic"] == 30
    assert sum(row["dropped"] is None for row in every.rows("candidates")) == 30
    assert every.result["drops"]["outputs"]["composition"] > 0
    validation, _ = gold(tmp_path)
    assert every.rounds[1]["proposed"] == len(validation)


def test_no_gold_in_what_is_made(tmp_path: Path) -> None:
    validation, test = gold(tmp_path)
    known = sorted(validation | test)

    def copying(prompt: str, seed: int, sample: int) -> str:
        return writer(prompt, seed, sample) if prompt.endswith("Output:") else known[seed % len(known)]

    ran = scripted(tmp_path, copying, "method=s3", *SMALL, "filters.decontaminate=drop")
    trained = {row["input"] for row in ran.rows("dataset")}
    assert not trained & (validation | test)
    drops = {row["dropped"] for row in ran.rows("candidates")}
    assert {"copy_of_known", "contaminated"} <= drops


def test_llm2llm_knows_its_seed_and_not_the_rest_of_the_gold_pool(tmp_path: Path) -> None:
    validation, _ = gold(tmp_path)
    known = sorted(validation)

    def copying(prompt: str, seed: int, sample: int) -> str:
        return student(prompt) if prompt.endswith("Output:") else f"{known[seed % len(known)]}\nOutput: dark"

    more = ("method.initial_data.share=null", "method.initial_data.items=10", "method.filter.novelty=null")
    ran = scripted(tmp_path, copying, "method=llm2llm", *more, "method.propose.attempts=3")
    seeds = {row["input"] for row in ran.rows("dataset")} & validation
    made = ran.rows("candidates")
    kept = {row["input"] for row in made if row["dropped"] is None}
    assert kept & validation, "a row of the pool that it has not seen is news to it"
    assert {row["input"] for row in made if row["dropped"] == "copy_of_known"} <= seeds


@pytest.mark.parametrize("method", ["s3", "goldgen", "llm2llm"])
def test_no_test_input_reaches_a_prompt_for_data(method: str, tmp_path: Path) -> None:
    answer = pairs_writer if method == "llm2llm" else writer
    ran = scripted(tmp_path, answer, f"method={method}", *(SMALL if method != "llm2llm" else ()))
    _, test = gold(tmp_path)
    asked = asked_for_inputs(ran.engine.prompts)
    assert asked
    assert not [text for text in test for prompt in asked if text in prompt]
    assert not {row["input"] for row in ran.rows("dataset")} & test


@pytest.mark.parametrize("method", ["zerogen", "progen", "selfguide_extrapolate"])
def test_without_gold_the_bytes_do_not_depend_on_it(method: str, tmp_path: Path) -> None:
    more = SMALL if method != "selfguide_extrapolate" else ("method.diagnose.share_below=1.0",)
    if method == "progen":
        more += ("method.propose.feedback.start=6", "method.diagnose.score_above=4")
    clean = write_task(tmp_path, classification=True)
    content = json.loads(clean.read_text())
    content["instances"] = [{"input": f"POISON {row['input'][::-1]}", "output": "dark"} for row in content["instances"]]
    other = tmp_path / "poisoned" / "shade.json"
    other.parent.mkdir()
    other.write_text(json.dumps(content))
    one, two = (
        scripted(tmp_path, unsure, f"method={method}", *more, task=task, name=name)
        for name, task in {"clean": clean, "poisoned": other}.items()
    )
    assert one.rows("candidates") == two.rows("candidates") != []
    assert one.rows("dataset") == two.rows("dataset") != []
    assert not [prompt for prompt in asked_for_inputs(two.engine.prompts) if "POISON" in prompt]


def unsure(prompt: str, seed: int, sample: int) -> str:
    """As `writer`, but its votes do not agree on inputs with an even number."""
    if prompt.endswith("Output:") and sample % 2 and prompt.removesuffix(".\nOutput:")[-1:] in "02468":
        return "light" if student(prompt) == "dark" else "dark"
    return writer(prompt, seed, sample)


def test_s3_without_rounds_and_reasons_is_zerogen(tmp_path: Path) -> None:
    same = (*SMALL, "method.attributes.kind=none", "method.initial_data.labels=each", "method.filter.min_words=3")
    same += ("method.propose.draw.temperature=1.0", "method.propose.draw.top_p=0.9")
    same += ("method.propose.draw.max_new_tokens=40",)
    zerogen = scripted(tmp_path, writer, "method=zerogen", *same, name="zerogen")
    s3 = scripted(
        tmp_path, writer, "method=s3", *same, "method.loop.rounds=0", "method.diagnose.source=none", name="s3"
    )
    for file in ("candidates.jsonl", "dataset.jsonl"):
        assert (s3.folder / file).read_bytes() == (zerogen.folder / file).read_bytes()
    assert s3.result["keys"]["proposals_0"] == zerogen.result["keys"]["proposals_0"]


def test_every_condition_comes_with_every_label(tmp_path: Path) -> None:
    def titled(prompt: str, seed: int, sample: int) -> str:
        if prompt.endswith("Output:") or "Draft:" in prompt:
            return writer(prompt, seed, sample)
        return f"subject {seed % 7}"

    ran = scripted(tmp_path, titled, "method=zerogen", *SMALL)
    asked = [prompt for prompt in asked_for_inputs(ran.engine.prompts) if "Draft:" in prompt]
    seen = [(prompt.split("Draft: ")[1].splitlines()[0], prompt.splitlines()[-2]) for prompt in asked]
    assert len(seen) == 12 == 2 * sum(label == "Output: dark" for _, label in seen)
    assert len({condition for condition, _ in seen}) == 4
    assert all(
        {label for own, label in seen if own == condition} == {"Output: dark", "Output: light"} for condition, _ in seen
    )


def test_reasons_are_drawn_without_replacement(tmp_path: Path) -> None:
    ran = scripted(tmp_path, writer, "method=s3", *SMALL, "method.loop.rounds=0", "method.diagnose.source=none")
    asked = [prompt for prompt in asked_for_inputs(ran.engine.prompts) if "Draft:" in prompt]
    assert len(asked) == 12
    for prompt in asked:
        drafts = [line for line in prompt.splitlines() if line.startswith("Draft: ")]
        assert len(drafts) == len(set(drafts)) == 2
    reasons = {line for prompt in asked for line in prompt.splitlines() if line.startswith("Draft: ")}
    assert len(reasons) <= 2 * 4


def test_llm2llm_counts(tmp_path: Path) -> None:
    ran = scripted(
        tmp_path, pairs_writer, "method=llm2llm", "method.initial_data.min_items=12", "method.propose.per_exemplar=2"
    )
    assert len(ran.rounds) == 10
    errors = ran.rounds[0]["errors"]
    assert errors == sum("blue" in row["input"] for row in ran.rows("dataset")[:12]) > 0
    assert [notes["rows"] for notes in ran.rounds] == [12 + 2 * errors * number for number in range(10)]
    made = ran.rows("candidates")
    kept = [row for row in made if row["dropped"] is None]
    parents = {row["parent"] for row in kept}
    assert len(parents) == errors and all(parent.startswith("gold-") for parent in parents), "never a synthetic row"
    assert ran.rounds[-1]["rows"] <= 12 * (1 + 2 * 9)
    # One reply holds one item here, so the second comes from the second attempt.
    assert {row["id"].split("-")[2] for row in kept} == {"0", "1"}


def test_errors_on_synthetic_rows_count_if_asked(tmp_path: Path) -> None:
    more = ("method.initial_data.min_items=12", "method.loop.rounds=2", "method.diagnose.restrict_to=all")
    ran = scripted(tmp_path, pairs_writer, "method=llm2llm", *more)
    assert ran.rounds[1]["diagnosed"] == ran.rounds[1]["rows"] > 12
    assert {row["parent"].split("-")[0] for row in ran.rows("candidates") if row["round"] == 2} == {"gold", "1"}


def test_novelty_sees_every_earlier_round(tmp_path: Path) -> None:
    def repeating(prompt: str, seed: int, sample: int) -> str:
        if prompt.endswith("Output:"):
            return student(prompt)
        # The same words for the same exemplar, whatever the round; one of twenty differs.
        shown = prompt.rsplit("Input: ", 1)[1].splitlines()[0].rstrip(".")
        return f"{shown} and a long tail of words that never changes from one round to another {seed}\nOutput: dark"

    cumulative = scripted(tmp_path, repeating, "method=llm2llm", "method.filter.novelty=0.9", name="cumulative")
    assert cumulative.rounds[1]["kept"] == cumulative.rounds[0]["errors"] > 0
    assert cumulative.rounds[2]["kept"] == 0
    assert set(cumulative.rounds[2]["drops"]) == {"not_novel"}
    published = scripted(
        tmp_path, repeating, "method=llm2llm", "method.filter.novelty=0.9", "method.filter.scope=round", name="round"
    )
    assert published.rounds[2]["kept"] == published.rounds[1]["kept"]


def test_a_teacher_that_cannot_be_read_costs_a_bounded_number_of_calls(tmp_path: Path) -> None:
    def babble(prompt: str, seed: int, sample: int) -> str:
        return student(prompt) if prompt.endswith("Output:") else "no pair at all"

    ran = scripted(tmp_path, babble, "method=llm2llm", "method.loop.rounds=1", "method.propose.attempts=3")
    errors = ran.rounds[0]["errors"]
    made = ran.rows("candidates")
    assert len(made) == 3 * errors == ran.result["tokens"]["proposals_1"]["calls"]
    assert {row["dropped"] for row in made} == {"no_output"}
    assert ran.result["status"] == "ok"


def test_a_call_budget_ends_the_loop(tmp_path: Path) -> None:
    ran = scripted(tmp_path, pairs_writer, "method=llm2llm", "method.initial_data.min_items=12", "method.loop.calls=7")
    assert ran.result["diagnostics"]["stopped"] == "calls"
    spent = sum(tokens["calls"] for name, tokens in ran.result["tokens"].items() if name.startswith("proposals"))
    assert spent == 7
    bounded = scripted(tmp_path, pairs_writer, "method=llm2llm", "method.loop.tokens=100", name="tokens")
    assert bounded.result["diagnostics"]["stopped"] == "tokens"


def test_no_errors_end_the_loop(tmp_path: Path) -> None:
    def perfect(prompt: str, seed: int, sample: int) -> str:
        if prompt.endswith("Output:"):
            return "dark" if any(color in prompt.rsplit("Input:", 1)[1] for color in DARK) else "light"
        return writer(prompt, seed, sample)

    ran = scripted(tmp_path, perfect, "method=s3", *SMALL)
    assert ran.result["diagnostics"]["stopped"] == "no_errors"
    assert [notes["rows"] for notes in ran.rounds] == [12]
    llm2llm = scripted(tmp_path, perfect, "method=llm2llm", name="llm2llm").result
    assert llm2llm["warnings"][-1] == "no errors to extrapolate: trained only on the seed data"
    assert llm2llm["counts"]["train"] > 0 == llm2llm["counts"]["synthetic"] == llm2llm["costs"]["method"]["kept"]


def test_the_published_feedback_schedule() -> None:
    assert feedback_points(100, 100_000, 200_000) == [100, 400, 1200, 3200, 8000, 19200, 44800, 102400]
    assert feedback_points(100, 100, 1000) == [100, 200, 300, 400, 500, 600, 700, 800, 900]


def test_progen_shows_helpful_examples_to_half_of_the_prompts(tmp_path: Path) -> None:
    more = ("method.initial_data.items=120", "method.propose.feedback.start=20", "method.propose.feedback.examples=3")
    ran = scripted(tmp_path, writer, "method=progen", *SMALL[1:], *more, "method.diagnose.score_above=null")
    assert [notes["rows"] for notes in ran.rounds] == [20, 80, 120]
    proposals = [prompt for prompt in asked_for_inputs(ran.engine.prompts) if "Draft:" in prompt]
    assert len(proposals) == 120
    shown = [prompt.count("Output: ") - 1 for prompt in proposals]
    assert set(shown[:20]) == {0}
    assert set(shown[20:]) == {0, 3}
    assert 30 <= sum(count == 3 for count in shown) <= 70
    for prompt in proposals:
        labels = {line for line in prompt.splitlines() if line.startswith("Output: ")}
        assert len(labels) == 1, "examples of the label that is asked for"


def test_the_votes_that_disagree_are_extrapolated_without_gold(tmp_path: Path) -> None:
    ran = scripted(tmp_path, unsure, "method=selfguide_extrapolate", "method.compose.balance='off'")
    first = [row for row in ran.rows("candidates") if row["round"] == 0]
    assert ran.rounds[0]["rows"] == ran.rounds[0]["kept"]
    assert "balance" not in ran.rounds[0]["drops"], "the loop itself balances, or does not"
    low = {row["id"] for row in first if row["share"] is not None and row["share"] < 0.6}
    assert 0 < len(low) < len(first)
    assert {row["parent"] for row in ran.rows("candidates") if row["round"] == 1} == low
    second = {row["parent"] for row in ran.rows("candidates") if row["round"] == 2}
    assert not second & low, "each is extrapolated once"
    assert all(row["samples"] for row in ran.rows("candidates") if row["dropped"] is None)


def test_without_rounds_it_is_selfguide(tmp_path: Path) -> None:
    none = ("method.loop.rounds=0", "method.diagnose.source=none")
    loop = scripted(tmp_path, unsure, "method=selfguide_extrapolate", *none, name="loop")
    plain = scripted(tmp_path, unsure, "method=selfguide", name="plain", loop=False)
    assert (loop.folder / "dataset.jsonl").read_bytes() == (plain.folder / "dataset.jsonl").read_bytes()


def test_a_new_input_of_a_generation_task_has_not_the_exemplars_output_but_its_own(tmp_path: Path) -> None:
    ran = scripted(tmp_path, colours, "method=s3", *SMALL, classification=False)
    added = [row for row in ran.rows("candidates") if row["dropped"] is None and row["round"] > 0]
    assert added and ran.rounds[0]["errors"] > 0
    assert all(row["samples"] and row["label"] is None for row in added)
    assert {row["output"] == colours(f"Input: {row['input']}\nOutput:", 0, 0) for row in added} == {True}


def colours(prompt: str, seed: int, sample: int) -> str:
    if prompt.endswith("Output:"):
        last = prompt.rsplit("Input:", 1)[1]
        return next((color for color in COLORS if color in last and color != "green"), "red")
    return writer(prompt, seed, sample)


@pytest.mark.parametrize(
    "override",
    [
        ("method=zerogen", "method.loop.rounds=1"),
        ("method=s3", "method.annotate.source=gold"),
        ("method=s3", "method.diagnose.source=votes"),
        ("method=llm2llm", "method.initial_data.items=5"),
        ("method=progen", "method.initial_data.source=selfguide"),
        ("method=zerogen_debias", "engine=vllm"),
        ("method=zerogen_debias", "engine=openai", "engine.base_url=http://localhost:1/v1"),
    ],
)
def test_steps_that_do_not_fit_are_refused(override: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^method\."):
        run_config(*override)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (scripted(tmp_path, writer, "method=s3", *SMALL, name=name) for name in ("one", "two"))
    other = scripted(tmp_path, writer, "method=s3", *SMALL, "seed=1", name="other")
    assert (one.folder / "candidates.jsonl").read_bytes() == (two.folder / "candidates.jsonl").read_bytes()
    assert (one.folder / "candidates.jsonl").read_bytes() != (other.folder / "candidates.jsonl").read_bytes()
