"""Random streams: the same seed draws the same, another seed something else, and no stream moves another.

`STREAMS` holds a function of (seed, index) for each random decision, as its step makes it. None of them sees the
others' draws, so a stream that took another's seed, or a constant one, shows as a value that does not change.
"""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfguide.config.budget import BudgetConfig
from selfguide.config.loop import LoopConfig
from selfguide.core.seeding import SeedStream, child_seed
from selfguide.core.types import Example, Instance, TaskSpec
from selfguide.methods.loop.influence import held_out
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.session import LanguageModel
from selfguide.prompts.neighbours import ConditionedPrompt
from selfguide.search.objective import draws
from selfguide.store import Journal
from selfguide.synthesis.attributes import ask_attributes
from selfguide.synthesis.budget import fit_rows
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.dataset import compose
from selfguide.synthesis.inputs import InputProposer
from selfguide.synthesis.outputs import Annotator
from selfguide.synthesis.request_writer import AttributePool, Exemplar, RequestWriter
from selfguide.synthesis.sampling import spread_over_labels
from selfguide.tasks.raw import RawTask
from selfguide.tasks.splits import seeded_split
from selfguide.testing.scripted import ScriptedEngine
from selfguide.training.rows import demonstrations_shown
from tests.composing import run_config

CONFIG = run_config("task=sni", "task.id=task1", "synthesis=default", "method=zerogen")
TOKENIZER = load_prompt_tokenizer(CONFIG.model)
LABELS = ("good", "bad")
TASK = TaskSpec(
    "mood", "classification", "Good or bad?",
    tuple(Example(f"the soup number {number}", LABELS[number % 2]) for number in range(8)), LABELS,
)  # fmt: skip
PAIRS = [Example(f"input {number}", LABELS[number % 5 < 2]) for number in range(30)]
SHUFFLED = replace(CONFIG.finetuning, shuffle_demonstrations=True)
TEN_ROWS = BudgetConfig("equal_rows", 10, None, None)
CANDIDATES = [Candidate(str(number), 0, pair.input, output=pair.output) for number, pair in enumerate(PAIRS)]


def loop_config(**propose: Any) -> LoopConfig:
    assert isinstance(CONFIG.method, LoopConfig)
    return replace(CONFIG.method, propose=replace(CONFIG.method.propose, show_demonstrations=True, **propose))


def writer(seed: int, config: LoopConfig | None = None) -> RequestWriter:
    conditions = tuple(f"condition {number}" for number in range(50))
    return RequestWriter(TASK, config or loop_config(), AttributePool(conditions), SeedStream(seed, ("loop",)))


def model(answer: Callable[[str, int, int], str] = lambda *_: "x") -> LanguageModel:
    return LanguageModel(CONFIG, ScriptedEngine(TOKENIZER.decode, answer))


def proposed(seed: int, index: int, number: int = 0) -> Any:
    settings = replace(CONFIG.generation, label_conditioning=False, max_drafts=8)
    proposer = InputProposer(model(), TASK, settings, CONFIG.filters, 0.8, seed)
    return proposer.draw([f"draft {place}" for place in range(40)], number, index).prompt


def conditioned(seed: int, index: int) -> Any:
    [request] = writer(seed).conditioned(range(index, index + 1), 0)
    return request.prompt


def extrapolated(seed: int, index: int, number: int = 1) -> Any:
    exemplars = [Exemplar(str(place), f"row {place}", "good") for place in range(index + 1)]
    return list(writer(seed).extrapolations(exemplars, number))[-1].prompt


def balanced(seed: int, **changes: Any) -> list[Example]:
    return compose(TASK, CANDIDATES, replace(CONFIG.annotation, **changes), seed)[0]


def split(seed: int, index: int) -> list[str]:
    rows = tuple(Instance(str(number), f"text {number}", ("x",)) for number in range(40))
    task = RawTask(f"t{index}", "?", (), rows, "t.json")
    return [row.id for row in seeded_split(task, 0.5, seed, task.name, stratify=False)["test"]]


def diagnosed(seed: int, index: int) -> Any:
    config = replace(CONFIG.method.diagnose, held_out_from=30, held_out=10)  # type: ignore[attr-defined]
    return held_out(PAIRS, config, seed)[1]


STREAMS: dict[str, Callable[[int, int], Any]] = {
    "the demonstrations' order in a prompt for an input": lambda seed, index: proposed(seed, index).demonstrations,
    "the drafts in a prompt for an input": lambda seed, index: proposed(seed, index).drafts,
    "the demonstrations' order of a conditioned prompt": lambda seed, index: conditioned(seed, index).demonstrations,
    "the demonstrations' order of an extrapolation": lambda seed, index: extrapolated(seed, index).demonstrations,
    # A training has few orders, so that rows share their beginning: which rows have which differs.
    "the demonstrations' orders in training rows": lambda seed, index: [
        demonstrations_shown(TASK, PAIRS[0], 16 * index + row, SHUFFLED, seed, False) for row in range(16)
    ],
    "which instances are for validation": split,
    "a resampling of a sweep's task": lambda seed, index: draws(f"task {index}", 20, 3, seed).tolist(),
}
# These have one draw for a whole data set.
ONCE: dict[str, Callable[[int], Any]] = {
    "which rows a balance keeps": balanced,
    "which rows a balance repeats": lambda seed: balanced(seed, balance="oversample"),
    "which rows a cap keeps": lambda seed: balanced(seed, balance="off", max_rows=10),
    "which rows a budget admits": lambda seed: fit_rows(PAIRS, TEN_ROWS, LABELS, seed),
    "which pairs the loop begins with": lambda seed: spread_over_labels(PAIRS, LABELS, 10, seed, "loop"),
    "which rows judge the others": lambda seed: diagnosed(seed, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_another_seed_and_another_index_draw_something_else(name: str) -> None:
    stream = STREAMS[name]
    assert stream(1, 3) == stream(1, 3)
    # Zero stands for a seed that was not passed on.
    values = [stream(seed, index) for seed in (0, 1, 2) for index in (0, 1, 2)]
    assert all(one != other for one, other in itertools.combinations(values, 2))


@pytest.mark.parametrize("name", ONCE)
def test_another_seed_chooses_other_rows(name: str) -> None:
    stream = ONCE[name]
    assert stream(1) == stream(1)
    assert all(one != other for one, other in itertools.combinations([stream(seed) for seed in range(4)], 2))


def test_rounds_draw_apart() -> None:
    assert proposed(0, 0, number=0) != proposed(0, 0, number=1)
    assert extrapolated(0, 0, number=1) != extrapolated(0, 0, number=2)


def test_labels_and_conditions_are_drawn_for_each_request_of_its_seed() -> None:
    config = loop_config()
    config = replace(config, initial_data=replace(config.initial_data, labels="uniform"))
    drawn = []
    for seed in (0, 1):
        prompts = [request.prompt for request in writer(seed, config).conditioned(range(60), 0)]
        assert all(isinstance(prompt, ConditionedPrompt) for prompt in prompts)
        drawn.append([(prompt.label, prompt.condition) for prompt in prompts])  # type: ignore[union-attr]
        assert {label for label, _ in drawn[-1]} == set(LABELS)
        assert len({condition for _, condition in drawn[-1]}) > 20
    assert drawn[0] != drawn[1]


def test_feedback_is_shown_as_often_as_its_ratio_says() -> None:
    pool = {label: [pair for pair in PAIRS if pair.output == label] for label in LABELS}
    config = loop_config()
    for ratio in (0.0, 0.8, 1.0):
        feedback = replace(config.propose.feedback, ratio=ratio, examples=2)
        settings = replace(config, propose=replace(config.propose, feedback=feedback))
        requests = list(writer(3, settings).conditioned(range(200), 1, pool))
        shown = [len(request.prompt.examples) for request in requests]  # type: ignore[union-attr]
        assert set(shown) <= {0, 2}
        assert sum(map(bool, shown)) / 200 == pytest.approx(ratio, abs=0.08)
        assert all(e.output == r.label for r in requests for e in r.prompt.examples)  # type: ignore[union-attr]


def test_an_exemplar_does_not_stand_among_the_other_demonstrations() -> None:
    shown = TASK.demonstrations[2]
    [request, *_] = writer(0).extrapolations([Exemplar("0", shown.input, shown.output)], 1)
    others = request.prompt.demonstrations
    assert shown not in others and set(others) == set(TASK.demonstrations) - {shown}


def seeds_of_outputs(seed: int, folder: Path) -> list[int]:
    """The seeds of the sampled answers to three inputs."""
    found: list[int] = []
    listening = model(lambda prompt, seed, sample: str(found.append(seed)))
    annotation = replace(CONFIG.annotation, best_of=1, samples=1)
    with Journal(folder / f"{seed}.jsonl") as journal:
        Annotator(listening, TASK, annotation, 0.8, seed).annotate(CANDIDATES[:3], journal)
    return found


def test_every_answer_is_sampled_with_a_seed_of_its_own(tmp_path: Path) -> None:
    one, other = (seeds_of_outputs(seed, tmp_path) for seed in (0, 1))
    assert len({*one, *other}) == 6


def seeds_of_inputs(seed: int, folder: Path) -> list[int]:
    found: list[int] = []
    listening = model(lambda prompt, seed, sample: f"words {found.append(seed)} {len(found)}")
    settings = replace(CONFIG.generation, rounds=2, prompts_per_round=3, schedule="rounds", target=None)
    with Journal(folder / f"{seed}.jsonl") as journal:
        InputProposer(listening, TASK, settings, CONFIG.filters, 0.8, seed).propose(journal)
    return found


def test_every_input_is_sampled_with_a_seed_of_its_own(tmp_path: Path) -> None:
    one, other = (seeds_of_inputs(seed, tmp_path) for seed in (0, 1))
    assert len(one) == 6 and len({*one, *other}) == 12


def asked_for_conditions(seed: int, folder: Path) -> tuple[list[int], list[str]]:
    """Seeds and prompts of a model that knows two conditions alone, so that every attempt asks for more."""
    seeds: list[int] = []
    listening = model(lambda prompt, seed, sample: f"condition {seeds.append(seed)} {len(seeds) % 2}")
    config = loop_config()
    config = replace(config, attributes=replace(config.attributes, kind="conditions", items=4, attempts=3))
    with Journal(folder / f"{seed}.jsonl") as journal:
        found = ask_attributes(listening, TASK, config, SeedStream(seed, ("loop",)), journal)
    assert len(found.conditions) == 2
    engine = listening.engine
    assert isinstance(engine, ScriptedEngine)
    return seeds, engine.prompts


def test_every_attempt_at_a_condition_has_a_seed_and_an_order_of_its_own(tmp_path: Path) -> None:
    one, other = (asked_for_conditions(seed, tmp_path) for seed in (0, 1))
    assert len(one[0]) == len(other[0]) == 4 + 2 + 2
    assert len({*one[0], *other[0]}) == 16
    assert len({*one[1], *other[1]}) == 16, "8 demonstrations have 40,320 orders"


def test_names_of_streams_do_not_run_together() -> None:
    names = [("a", "b"), ("ab",), ("a", "b", ""), ("b", "a"), ("a", 1), ("a", 11), ("a", 1, 1), ()]
    assert len({child_seed(seed, *name) for seed in (0, 1, 11) for name in names}) == 3 * len(names)
