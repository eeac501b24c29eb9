"""What is said about a run's data is what its method and its settings did: every method, every setting that counts."""

from pathlib import Path
from typing import Any

import pytest

from selfguide.analysis.description import TITLES, Description, describe
from selfguide.core.paths import config_dir
from selfguide.core.types import Example, TaskSpec
from tests.composing import run_config

LABELS = ("yes", "no")
RECIPES = sorted(path.stem for path in (config_dir() / "method").glob("*.yaml"))
VOTED = "The base model prompted with the 3 demonstrations answered each input 20 times; the 10 most likely vote"
INHERITED = "The label that an input was written for is its output; nobody voted."
NO_GOLD = "No gold instance was used besides the 3 demonstrations."


def task_with(labels: tuple[str, ...]) -> TaskSpec:
    shown = tuple(Example(f"input {number}", labels[0] if labels else "text") for number in range(3))
    family, metric = ("classification", "exact_match") if labels else ("generation", "rouge_l")
    return TaskSpec("a_task", family, "Answer.", shown, labels, metric)


def described(*overrides: str, labels: tuple[str, ...] = LABELS, **changes: Any) -> Description:
    config = run_config("task=json", "task.path=unused.json", "synthesis=default", *overrides)
    result = {
        "claims_gold": config.method.claims_gold, "status": "ok", "drops": {"inputs": {}, "outputs": {}},
        "counts": {"demonstration_copies": 0}, **changes,
    }  # fmt: skip
    return describe(config, result, task_with(labels))


# Recipe: what its inputs, outputs, gold and student sentences must say.
SAID: dict[str, tuple[str, str, str, str]] = {
    "selfguide": ("The base model wrote the inputs", VOTED, NO_GOLD, "was finetuned with LoRA"),
    "selfguide_extrapolate": ("like one of the inputs whose samples disagree", VOTED, NO_GOLD, "was finetuned"),
    "zerogen": ("conditions that it wrote before, each for a label", INHERITED, NO_GOLD, "was finetuned"),
    "zerogen_debias": ("conditions that it wrote before, each for a label", INHERITED, NO_GOLD, "was finetuned"),
    "zerogen_pairs": ("conditions from gold inputs", INHERITED, "inputs of gold instances, without", "was finetuned"),
    "zerogen_qa": ("conditions from gold inputs", INHERITED, "inputs of gold instances, without", "was finetuned"),
    "progen_paper": ("Later prompts show synthetic examples that helped", INHERITED, NO_GOLD, "was finetuned"),
    "progen": ("Later prompts show synthetic examples that helped", INHERITED, NO_GOLD, "was finetuned"),
    "s3": ("like one of the gold instances that the student gets wrong", INHERITED,
           "Gold instances were used: the student is tested on the gold pool, and prompts show those", "was finetuned"),
    "s3_pairs": ("conditions from gold inputs", INHERITED, "inputs of gold instances, without their labels", "was"),
    "goldgen": ("like one of the gold instances, right or wrong", INHERITED, "prompts show them, right or", "was"),
    "goldgen_pairs": ("conditions from gold inputs", INHERITED, "inputs of gold instances, without", "was"),
    "llm2llm": ("The seed rows are gold instances. More inputs", "in one reply", "seed rows are gold instances", "was"),
    "gepa": ("The base model rewrote the instruction from errors", "", "", "Nothing was finetuned."),
    "rest": ("The base model wrote the inputs", VOTED, NO_GOLD, "was finetuned"),
    "star": ("The inputs come from gold instances", "asked again with its gold answer as a hint. From round 2 to 3",
             "their gold answers decided", "was finetuned"),
    "loop": ("The base model wrote the seed data from the instruction and the 3", INHERITED, NO_GOLD, "was"),
    "self_icl": ("The base model wrote the inputs", VOTED, NO_GOLD, "Nothing was finetuned: the prompt shows"),
    "few_shot_finetune": ("copies of the task's 3 demonstrations; nothing was synthesised", "", "", "was finetuned"),
    "gold_finetune": ("gold instances with their gold labels", "", "the rows are gold instances", "was finetuned"),
    "few_shot_icl": ("", "", "", "Nothing was finetuned."),
    "zero_shot": ("", "", "", "Nothing was finetuned."),
}  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_method_is_described_as_what_it_does(recipe: str) -> None:
    said = described(f"method={recipe}")
    inputs, outputs, gold, student = SAID[recipe]
    for sentence, expected in ((said.inputs, inputs), (said.outputs, outputs), (said.gold, gold)):
        assert expected in sentence
        assert bool(sentence) == bool(expected)
    assert student in said.student
    assert recipe in TITLES
    claims = run_config("task=json", "task.path=unused.json", f"method={recipe}").method.claims_gold
    assert ("Gold instances were used" in said.gold) == claims


@pytest.mark.parametrize("recipe", [name for name in RECIPES if "vote" not in SAID[name][1]])
def test_a_vote_is_told_only_of_methods_that_hold_one(recipe: str) -> None:
    said = described(f"method={recipe}", "annotation.conditioning_label_weight=20")
    assert "answered each input" not in said.outputs
    assert said.requested_label == ""


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (0, "has no vote: the samples alone decide."),
        (5, "counts as 5 votes beside 10 samples."),
        (10, "counts as 10 votes beside 10 samples."),
        (20, "counts as 20 votes beside 10 samples: if any sample passed the filters, this label is the output"),
    ],
)
@pytest.mark.parametrize("method", ["selfguide", "selfguide_extrapolate", "self_icl"])
def test_the_weight_of_the_label_asked_for_is_told(method: str, weight: int, expected: str) -> None:
    said = described(f"method={method}", f"annotation.conditioning_label_weight={weight}")
    assert expected in said.requested_label


# Override: the field it changes, and what that says with it.
CHANGES = {
    "teacher=local": ("outputs", "Another model, the teacher, prompted with"),
    "annotation.annotator=few_shot_finetuned": ("outputs", "The base model finetuned on the 3 demonstrations alone"),
    "annotation.samples=1": ("outputs", "the most likely answer is the output"),
    "annotation.best_of=10": ("outputs", "answered each input 10 times; the answers vote"),
    "annotation.min_share=0.5": ("outputs", "less than 50 % of the votes asked for"),
    "annotation.share_of=survivors": ("outputs", "30 % of the votes that passed the filters"),
    "generation.label_conditioning=false": ("requested_label", "No input was written for a label."),
    "filters.decontaminate=drop": ("gold", "only to drop synthetic inputs that overlap with them"),
    "curation=confidence": ("rows", "whose output the base model finds least likely (20 % of the rows of each label"),
    "curation=dynamics": ("rows", "that a training on other rows makes least likely (10 %"),
    "curation=curated_llm": ("rows", "that a training on real rows makes least likely (0 %"),
    "finetuning.kind=full": ("student", "was finetuned in full"),
    "finetuning.objective=dpo": ("student", "After that DPO trained it to prefer winners of the vote to its losers."),
    "finetuning=none": ("student", "Nothing was finetuned."),
    "student=encoder": ("student", "An encoder with a classifier was trained"),
}


@pytest.mark.parametrize("override", CHANGES)
def test_a_setting_changes_its_sentence(override: str) -> None:
    field, expected = CHANGES[override]
    more = ["teacher.model.path=unused"] if override == "teacher=local" else []
    assert expected not in getattr(described(), field)
    assert expected in getattr(described(override, *more), field)


def test_a_judges_sentence_says_its_threshold_and_its_agreement_with_the_vote() -> None:
    judged = {"threshold": 0.25, "demonstrations": 0.75, "rated": 40, "rejected": 4, "agreement": 0.6}
    said = described("curation=judge", diagnostics={"judge": judged}).rows
    assert "The base model rated each row as a judge; 4 of 40 rows below the threshold 0.25, which tells right" in said
    assert "accuracy of 75%, were dropped." in said and "higher in 60% of the cases (chance: 50%)" in said
    assert (
        "corrected or dropped"
        in described("curation=judge", "curation.correct=true", diagnostics={"judge": judged}).rows
    )
    assert (
        "which was set"
        in described("curation=judge", "curation.min_confidence=0.5", diagnostics={"judge": judged}).rows
    )


# The same for the loop's steps.
STEPS = {
    "method.annotate.source=vote": ("outputs", VOTED),
    "method.annotate.source=joint": ("outputs", "wrote input and output in one reply; nobody voted."),
    "method.propose.show_demonstrations=true": ("inputs", "the instruction, the 3 demonstrations and"),
    "method.attributes.kind=rationales": ("inputs", "reasons for each label"),
    "method.attributes.source=demonstrations": ("inputs", "conditions from the demonstrations"),
    "method.attributes.source=gold": (
        "gold",
        "conditioned on inputs of gold instances, without their labels",
    ),
    "method.initial_data.source=demonstrations": ("inputs", "The seed rows are the 3 demonstrations."),
    "method.initial_data.source=gold": ("gold", "the seed rows are gold instances with their labels"),
    "method.initial_data.source=selfguide": ("outputs", VOTED),
}


@pytest.mark.parametrize("override", STEPS)
def test_a_step_of_the_loop_changes_its_sentence(override: str) -> None:
    field, expected = STEPS[override]
    assert expected not in getattr(described("method=zerogen"), field)
    assert expected in getattr(described("method=zerogen", override), field)


def test_a_model_that_was_trained_on_gold_is_told() -> None:
    said = described(claims_gold=True, seen_instances=3)
    assert "a model that this run builds on was trained on them" in said.gold
    assert "3 evaluated instances were among those" in said.gold
    assert "No gold" not in said.gold


def test_rows_of_a_run_with_gold_behind_it_are_not_called_free_of_gold(tmp_path: Path) -> None:
    said = described("method=zerogen", f"method.initial_data.extra_rows={tmp_path}", claims_gold=True)
    assert "gold may be behind the rows from elsewhere" in said.gold
    assert "includes rows from elsewhere (another run, or a file)" in said.inputs


def test_a_task_without_labels_is_not_said_to_have_any() -> None:
    said = described(labels=())
    assert said.requested_label == ""
    assert "label" not in said.inputs
    inherited = described("method=zerogen", labels=())
    assert "label" not in inherited.outputs
    assert VOTED in inherited.outputs


def test_self_icl_of_test_inputs_says_so() -> None:
    said = described("method=self_icl", "method.variant=test_conditioned")
    assert (
        said.inputs == "For each test input the base model wrote new inputs like it and answered them without examples."
    )
    assert (said.outputs, said.gold) == ("", "")
    assert "at random" in described("method=self_icl", "method.variant=test_conditioned", "method.labels=random").inputs


def test_copies_of_demonstrations_and_curated_rows_are_counted() -> None:
    counts = {"counts": {"demonstration_copies": 8}, "drops": {"inputs": {}, "outputs": {"curated": 3}}}
    said = described("curation=confidence", **counts)
    assert "3 rows in this run" in said.rows
    assert "8 copies of demonstrations were trained on" in said.rows
