"""Tasks whose inputs have a fixed part: the passage is kept, the question is written anew, the answer is inherited."""

import json
from pathlib import Path

import pytest

from selfguide.config.loop import LoopConfig
from selfguide.core.errors import ConfigError
from selfguide.core.seeding import SeedStream
from selfguide.core.types import Example, TaskSpec
from selfguide.methods.loop.influence import helpful
from selfguide.prompts.neighbours import ConditionedPrompt
from selfguide.synthesis.request_writer import AttributePool, RequestWriter
from selfguide.tasks.load import load_task
from tests.composing import run_config
from tests.methods.running import Ran, scripted
from tests.tiny_task import smoke

MARKER = " Question:"
PLACES = ("Oslo", "Lima", "Graz", "Bonn", "Turin", "Cork", "Delft", "Gent", "Leeds", "Malmo")


def write(folder: Path, labels: bool) -> Path:
    rows = [
        {
            "input": f"A tram went from {one} to {other} in {1900 + place}.{MARKER} Did it reach {PLACES[place % 7]}?",
            "output": ("yes" if place % 2 else "no") if labels else other,
        }
        for place, (one, other) in enumerate((a, b) for a in PLACES for b in PLACES if a < b)
    ]
    path = folder / ("shade.json" if labels else "color.json")
    path.write_text(json.dumps({"instruction": "Answer.", "examples": rows[:3], "instances": rows[3:]}))
    return path


def run(folder: Path, labels: bool, *overrides: str) -> Ran:
    def answer(prompt: str, seed: int, sample: int) -> str:
        if prompt.endswith("Output:"):
            return "yes" if labels else "Oslo"
        if prompt.endswith("Question:"):
            return f'"Was it number {seed % 10**6}?" And more'
        return f"The bus left Kyiv for Riga at {seed % 10**6}.{MARKER} Why?"

    more = ("task.context_until=' Question:'", "method.initial_data.items=6", *overrides)
    return scripted(folder, answer, *more, task=write(folder, labels))


@pytest.mark.parametrize("labels", [True, False])
def test_the_passage_of_an_error_is_kept(labels: bool, tmp_path: Path) -> None:
    more = (
        "method.attributes.kind=none",
        "method.loop.rounds=1",
        "method.filter.must_contain='?'",
        "evaluation.limit=5",
    )
    ran = run(tmp_path, labels, "method=s3", *more)
    added = [row for row in ran.rows("candidates") if row["round"] == 1]
    assert len(added) == ran.rounds[0]["errors"] > 0
    for row in added:
        passage, _, question = row["input"].partition(MARKER)
        assert passage == row["exemplar"].partition(MARKER)[0]
        assert question.startswith(" Was it number ") and question.endswith("?"), "no quotes, nothing behind the mark"
        assert row["output"] == row["label"] != ("yes" if labels else "Oslo"), "the student's answer was wrong"
        assert row["dropped"] is None


def test_conditions_are_first_parts_with_every_label(tmp_path: Path) -> None:
    ran = run(tmp_path, True, "method=zerogen", "method.attributes.items=3")
    made = ran.rows("candidates")
    parts = {row["input"].partition(MARKER)[0] for row in made}
    assert len(made) == 6 and len(parts) == 3
    for part in parts:
        assert part.startswith("The bus left Kyiv for Riga at ")
        assert {row["output"] for row in made if row["input"].startswith(part)} == {"yes", "no"}


def test_an_answer_is_chosen_from_the_passage_before_its_question(tmp_path: Path) -> None:
    ran = run(tmp_path, False, "method=zerogen", "method.attributes.items=3")
    made = ran.rows("candidates")
    assert made and all(row["dropped"] is None for row in made)
    for row in made:
        assert row["output"] == row["label"]
        assert row["output"] in row["input"].partition(MARKER)[0]


def test_unlabelled_gold_passages_are_a_claim_on_gold(tmp_path: Path) -> None:
    ran = run(tmp_path, True, "method=zerogen", "method.attributes.source=gold", "method.attributes.items=4")
    assert all(row["input"].startswith("A tram went from ") for row in ran.rows("candidates"))
    assert not [key for key in ran.result["keys"] if key.startswith("diagnosis")]
    assert {row["output"] for row in ran.rows("candidates")} == {"yes", "no"}, "its labels are not used"


def test_progen_shows_helpful_examples_where_the_answer_is_a_span() -> None:
    shown = (Example(f"Ann met Bo.{MARKER} Who?", "Bo"),)
    task = TaskSpec("t", "generation", "Answer.", shown, metric="token_f1", context_until=MARKER)
    method = run_config("method=progen", "method.propose.feedback.ratio=1.0").method
    assert isinstance(method, LoopConfig)
    trained = [Example(f"A tram left {place} in 1900.{MARKER} Where?", place) for place in PLACES]
    pool = helpful(trained, [-1.0, 1.0] * 5, task.labels, 50)
    attributes = AttributePool(("A bus left Kyiv in 1950.", "The ferry is in Riga."))
    writer = RequestWriter(task, method, attributes, SeedStream(0, ("loop",)))
    requests = list(writer.conditioned(range(20), 1, pool))
    assert {request.label for request in requests} == {"Kyiv", "1950", "Riga"}
    for request in requests:
        assert isinstance(request.prompt, ConditionedPrompt)
        assert set(request.prompt.examples) == set(trained[::2])


def test_an_answer_that_another_reference_accepts_is_no_error(tmp_path: Path) -> None:
    task = write(tmp_path, labels=False)
    content = json.loads(task.read_text())
    for row in content["instances"]:
        row["output"] = [row["output"], "the Oslo", "never shown"]
    content["instances"][:8] = [{**row, "output": ["Paris"]} for row in content["instances"][:8]]
    task.write_text(json.dumps(content))
    more = (
        "task.metric=token_f1",
        "method.loop.rounds=1",
        "method.initial_data.items=4",
        "task.context_until=' Question:'",
    )

    def answer(prompt: str, seed: int, sample: int) -> str:
        return "Oslo" if prompt.endswith("Output:") else f"Was it number {seed}?"

    ran = scripted(tmp_path, answer, "method=s3_pairs", *more, task=task)
    errors = {row["exemplar"] for row in ran.rows("candidates") if row["round"] == 1}
    assert 0 < ran.rounds[0]["errors"] == len(errors) < 8
    assert errors <= {row["input"] for row in content["instances"][:8]}
    assert not [prompt for prompt in ran.engine.prompts if "never shown" in prompt or "the Oslo" in prompt]
    exact = ran.result["columns"]["squad_exact"]
    assert set(exact) == {"few_shot_icl"} and exact["few_shot_icl"]["ci_low"] < exact["few_shot_icl"]["value"] < 1


def pairs_task(folder: Path) -> Path:
    """Sentence pairs with named parts, marked by " Hypothesis:"."""
    folder.mkdir(exist_ok=True)
    rows = [
        {
            "input": f"Premise: A tram went from {one} to {other}. Hypothesis: It left {PLACES[place % 7]}.",
            "output": "yes" if place % 2 else "no",
        }
        for place, (one, other) in enumerate((a, b) for a in PLACES for b in PLACES if a < b)
    ]
    path = folder / "shade.json"
    path.write_text(json.dumps({"instruction": "Does it follow?", "examples": rows[:3], "instances": rows[3:]}))
    return path


def premises(task: Path) -> tuple[set[str], set[str]]:
    """First parts of the validation and of the test split."""
    config = run_config(*smoke(task, task.parent / "unused", "task.context_until=' Hypothesis:'"))
    _, gold = load_task(config.task, config.data, config.seed)
    validation, test = (
        {row.input.partition(" Hypothesis:")[0] for row in gold.open(split)} for split in ("validation", "test")
    )
    return validation, test


def pairs_run(folder: Path, *overrides: str, task: Path | None = None, name: str = "run") -> Ran:
    def answer(prompt: str, seed: int, sample: int) -> str:
        if prompt.endswith("Output:"):
            return "yes"
        if not prompt.endswith("Hypothesis:"):
            return f"The bus left Kyiv at {seed}."
        # With the name of the second part, with all of the beginning, or as asked for.
        beginning = prompt.rpartition("Input:")[2]
        return ("Hypothesis: ", beginning + " ", "")[seed % 3] + f"It is number {seed % 10**6}."

    more = ("task.context_until=' Hypothesis:'", *overrides)
    return scripted(folder, answer, *more, task=task or pairs_task(folder), name=name)


def test_s3_writes_a_second_part_for_gold_first_parts(tmp_path: Path) -> None:
    more = ("method.initial_data.items=40", "method.loop.rounds=1", "method.diagnose.max_exemplars=4")
    ran = pairs_run(tmp_path, "method=s3_pairs", *more)
    validation, test = premises(tmp_path / "shade.json")
    made = [row for row in ran.rows("candidates") if row["round"] == 0]
    assert len(made) == 40 and {row["dropped"] for row in made} == {None}, "no reply is lost for its form"
    for row in made:
        premise, _, hypothesis = row["input"].partition(" Hypothesis: ")
        assert premise in validation - test
        assert hypothesis.startswith("It is number "), "neither name nor beginning is said twice"
    assert {row["output"] for row in made} == {"yes", "no"}
    used = {row["input"].partition(" Hypothesis:")[0] for row in made}
    assert len(used) > len(validation) / 2, "drawn from the whole pool"
    both = {premise for premise in used if len({r["output"] for r in made if r["input"].startswith(premise)}) == 2}
    assert both, "its own label is not what a first part comes with"
    added = [row for row in ran.rows("candidates") if row["round"] == 1]
    assert len(added) == 4 and {row["dropped"] for row in added} == {None}
    other = pairs_run(tmp_path, "method=s3_pairs", *more, "seed=1", name="other")
    again = {row["input"].partition(" Hypothesis:")[0] for row in other.rows("candidates") if row["round"] == 0}
    assert again != used, "another seed, other first parts"


def test_the_labels_of_the_first_parts_are_not_used(tmp_path: Path) -> None:
    task = pairs_task(tmp_path)
    content = json.loads(task.read_text())
    for row in content["instances"]:
        row["output"] = {"yes": "no", "no": "yes"}[row["output"]]
    other = tmp_path / "other" / "shade.json"
    other.parent.mkdir()
    other.write_text(json.dumps(content))
    # By lists: a stratified split would follow the labels.
    for split, places in (("validation", range(21)), ("test", range(21, 42))):
        (tmp_path / split).mkdir()
        (tmp_path / split / "shade.txt").write_text("\n".join(f"shade-{place}" for place in places))
    seed_only = (
        "method=s3_pairs",
        "method.initial_data.items=12",
        "method.loop.rounds=0",
        "method.diagnose.source=none",
    )
    seed_only += ("data.split=ids", f"data.split_path={tmp_path}")
    one, two = (pairs_run(tmp_path, *seed_only, task=path, name=path.parent.name) for path in (task, other))
    assert one.rows("candidates") == two.rows("candidates") != []


def test_some_gold_first_parts_are_a_seeded_choice(tmp_path: Path) -> None:
    seed_only = (
        "method.initial_data.items=12",
        "method.loop.rounds=0",
        "method.diagnose.source=none",
        "method.attributes.items=3",
    )
    used = []
    for seed in (0, 1):
        ran = pairs_run(tmp_path, "method=s3_pairs", *seed_only, f"seed={seed}", name=f"seed{seed}")
        used.append({row["input"].partition(" Hypothesis:")[0] for row in ran.rows("candidates")})
        assert len(used[-1]) == 3
    assert used[0] != used[1]


def test_written_first_parts_have_the_name_of_those_shown(tmp_path: Path) -> None:
    ran = pairs_run(tmp_path, "method=zerogen", "method.initial_data.items=6", "method.attributes.items=3")
    assert len([prompt for prompt in ran.engine.prompts if prompt.endswith("Input: Premise:")]) >= 3
    made = ran.rows("candidates")
    assert made and all(row["input"].startswith("Premise: The bus left Kyiv ") for row in made)


def test_a_prompt_without_example_or_first_part_says_the_form(tmp_path: Path) -> None:
    ran = pairs_run(tmp_path, "method=zerogen", "method.attributes.kind=none", "method.initial_data.items=2")
    asked = [prompt for prompt in ran.engine.prompts if not prompt.endswith("Output:")]
    assert asked and all("An input has this form:\nPremise: … Hypothesis: …\n" in prompt for prompt in asked)


def test_reasons_are_refused_where_a_first_part_is_kept() -> None:
    message = r"^method\.attributes\.kind: rationales is not allowed .* method=s3_pairs \| goldgen_pairs"
    with pytest.raises(ConfigError, match=message):
        run_config("method=s3", "task=rte")
    for method in ("s3_pairs", "goldgen_pairs"):
        run = run_config(f"method={method}", "task=rte")
        assert isinstance(run.method, LoopConfig) and run.method.claims_gold
        assert (run.method.attributes.kind, run.method.attributes.source, run.method.attributes.items) == (
            "conditions",
            "gold",
            None,
        )
    with pytest.raises(ConfigError, match=r"^method\.attributes\.items: null is not allowed"):
        run_config("method=zerogen", "task=rte", "method.attributes.items=null")
