"""ProGen as its preset stands. What is asserted:

- at the preset's size and at the published one, rows are scored, at the published feedback points;
- settings under which none could be scored are refused;
- the untouched preset shows the rows that were scored best, and counts kept rows, not proposals;
- what was dropped is asked for anew, labels and conditions in turn, a bounded number of times, killed or not.
"""

import itertools
import random
from pathlib import Path

import pytest

from selfguide.config.loop import LoopConfig, held_out_rows
from selfguide.core.errors import ConfigError
from selfguide.core.types import Example
from selfguide.methods.loop.influence import held_out
from selfguide.methods.loop.state import targets
from tests.composing import run_config
from tests.methods.running import Ran, scripted

PUBLISHED = (
    "method.initial_data.items=200000",
    "method.propose.feedback.start=100",
    "method.diagnose.score_above=10000",
    "method.diagnose.per_label=50",
)
HELPFUL = "ball"
WORDS = [
    f"{first}{last}" for first in ("sun", "rain", "snow", "wind") for last in ("day", "man", "time", "field", "light")
]
SHORT = ("method.attributes.kind=none", "method.initial_data.items=40", "method.propose.feedback.start=8")
SHORT += ("method.diagnose.score_above=2", "method.propose.batch=4")


def writer(prompt: str, seed: int, sample: int) -> str:
    """Drafts and answers; every second input is shorter than the preset's ten words."""
    if prompt.endswith("Output:"):
        return "light"
    if "Output:" not in prompt:
        return f"subject {seed % 1000}"
    if seed % 2:
        return "Eva has nothing."
    words = random.Random(seed).sample(WORDS, 10)
    return f"The {HELPFUL if seed % 4 else 'hat'} of {' '.join(words)}."


def likelihood(prompt: str) -> float:
    return -0.1 if HELPFUL in prompt.rsplit("Input:", 1)[1] else -1.0


def scored_at(*overrides: str) -> tuple[list[int], list[int]]:
    """Sizes at which a student is trained, and those at which rows are scored."""
    config = run_config("method=progen", *overrides).method
    assert isinstance(config, LoopConfig)
    sizes, least = targets(config), config.diagnose.score_above
    assert least is not None
    return sizes, [size for size in sizes[:-1] if size - held_out_rows(config.diagnose, size) > least]


def test_the_rows_held_out_stay_the_same_as_rows_are_added() -> None:
    config = run_config("method=progen", "method.diagnose.held_out_from=20", "method.diagnose.held_out=5").method
    assert isinstance(config, LoopConfig)
    rows = [Example(f"input {number}", "x") for number in range(60)]
    few, many = (held_out(rows[:count], config.diagnose, 0)[1] for count in (30, 60))
    assert few == many != held_out(rows, config.diagnose, 1)[1]
    assert set(few) < set(rows[:20])


def test_when_rows_are_scored() -> None:
    assert scored_at() == ([50, 200, 400], [50, 200])
    points = [100, 400, 1200, 3200, 8000, 19200, 44800, 102400]
    assert scored_at(*PUBLISHED) == ([*points, 200000], points[-3:])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "method.diagnose.score_above=180",
            r"method\.diagnose\.score_above: 180 is not allowed; allowed: < 180, .*null",
        ),
        (
            "method.propose.feedback.start=400",
            r"method\.propose\.feedback\.start: 400 .* < method\.initial_data\.items=400",
        ),
        ("method.loop.rounds=0", r"method\.loop\.rounds: 0 is not allowed; allowed: >= 1 or null"),
    ],
)
def test_a_schedule_that_scores_nothing_is_refused(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_config("method=progen", override)


def examples_in(prompt: str) -> list[tuple[str, str]]:
    """(label, input) of the examples that a proposal's prompt shows."""
    parts = [part.partition("\nInput:") for part in prompt.split("Output: ")[1:-1]]
    return [(label, text.strip()) for label, _, text in parts]


def turns_taken(ran: Ran) -> None:
    """Every place is asked for once, in order, and the labels take turns over all waves and rounds."""
    made = ran.rows("candidates")
    assert [int(row["id"].split("-")[1]) for row in made] == list(range(len(made)))
    assert all(one["label"] != other["label"] for one, other in itertools.pairwise(made))


def test_the_untouched_preset_shows_what_was_scored_best(tmp_path: Path) -> None:
    published = "generation.neighbours.show_demonstrations=false"
    ran = scripted(tmp_path, writer, "method=progen", published, loop=False, likelihood=likelihood)
    assert [notes["rows"] for notes in ran.rounds] == [50, 200, 400], "kept rows, though half of the texts were dropped"
    assert [notes.get("scored") for notes in ran.rounds] == [45, 180, None]
    assert {"influence_0", "influence_1"} <= set(ran.result["keys"])
    turns_taken(ran)
    proposals = [p for p in ran.engine.prompts if p.endswith("Input:") and "Output:" in p]
    shown = [pair for prompt in proposals for pair in examples_in(prompt)]
    assert max(len(examples_in(prompt)) for prompt in proposals) == 8
    assert all(HELPFUL in text for _, text in shown), "scored below the mean, as two thirds of the rows"
    rows = [(row["output"], row["input"]) for row in ran.rows("dataset")]
    assert set(shown) <= set(rows[:200]), "kept before the last feedback point"
    assert all(8 <= len({text for own, text in shown if own == label}) <= 2 * 20 for label in ("dark", "light"))


@pytest.mark.parametrize(
    ("overrides", "asked"),
    [
        (("method=progen", *SHORT, "method.initial_data.waves=3"), 3 * 8),
        (("method=zerogen", "method.attributes.kind=none", "method.initial_data.items=8"), 8),
    ],
)
def test_waves_are_bounded(overrides: tuple[str, ...], asked: int, tmp_path: Path) -> None:
    ran = scripted(tmp_path, lambda *_: "light", *overrides, loop=False)
    assert ran.result["diagnostics"]["stopped"] == "no_rows"
    assert len(ran.rows("candidates")) == asked


def test_killed_in_a_later_wave_the_bytes_are_the_same(tmp_path: Path) -> None:
    def run(name: str, calls: int) -> Ran:
        left = iter(range(calls))

        def dying(prompt: str, seed: int, sample: int) -> str:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return writer(prompt, seed, sample)

        return scripted(tmp_path, dying, "method=progen", *SHORT, loop=False, name=name, likelihood=likelihood)

    whole = run("whole", 10_000)
    assert [notes["rows"] for notes in whole.rounds] == [8, 32, 40]
    turns_taken(whole)
    waves = [name for name in whole.result["keys"] if name.startswith("proposals_1_wave_")]
    assert waves
    with pytest.raises(KeyboardInterrupt):
        run("again", sum(row["round"] == 0 for row in whole.rows("candidates")) + 24 + 6)
    again = run("again", 10_000)
    for file in ("candidates.jsonl", "dataset.jsonl"):
        assert (again.folder / file).read_bytes() == (whole.folder / file).read_bytes()
    assert len(again.engine.prompts) <= len(whole.engine.prompts) - 28, "what was done is not done again"


def test_it_says_so_where_too_few_rows_were_kept_to_score_any(tmp_path: Path) -> None:
    more = ("method.initial_data.waves=1", "method.diagnose.score_above=28")
    ran = scripted(tmp_path, writer, "method=progen", *SHORT, *more, loop=False)
    assert [notes.get("scored") for notes in ran.rounds] == [0, 0, None]
    assert any("no feedback point had more than 28 rows to score" in warning for warning in ran.result["warnings"])
