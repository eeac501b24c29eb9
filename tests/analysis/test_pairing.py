"""Which scores are compared with which: those of the same instance and the same seed, whatever their order."""

import numpy as np
import pytest

from selfguide.analysis.compare import Group, differences_of, group_of
from selfguide.analysis.figures import figures_of, interval_of, p_value, percent, points, with_interval
from selfguide.analysis.folder import RunFolder
from selfguide.evaluation.crossed import crossed_gain, crossed_interval
from selfguide.evaluation.statistics import Gain, Interval, holm
from tests.analysis.folders import write_run

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], RunFolder]:
    """Of two methods with three seeds; the base model differs from seed to seed, too."""
    root, found = tmp_path_factory.mktemp("runs"), {}
    for variant, skill in (("selfguide", 0.8), ("few_shot_finetune", 0.5)):
        for seed in SEEDS:
            path = write_run(
                root / variant / str(seed), f"method={variant}", seed=seed, skill=skill - 0.1 * seed,
                base_skill=0.2 + 0.2 * seed, proposals=8, instances=30,
            )  # fmt: skip
            found[variant, seed] = RunFolder(path)
    return found


def by_hand(runs: dict[tuple[str, int], RunFolder], variant: str, field: str) -> np.ndarray:
    """(seeds, instances), by the instances' ids."""
    rows = [{row["id"]: row[field] for row in runs[variant, seed].predictions} for seed in SEEDS]
    return np.array([[row[name] for name in sorted(rows[0])] for row in rows], dtype=float)


def group(runs: dict[tuple[str, int], RunFolder], variant: str, order: tuple[int, ...]) -> Group:
    return group_of("task_a", variant, [runs[variant, seed] for seed in order])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_scores_stand_by_seed_whatever_the_order_of_the_runs(
    runs: dict[tuple[str, int], RunFolder], order: tuple[int, ...]
) -> None:
    own, other = group(runs, "selfguide", order), group(runs, "few_shot_finetune", order[::-1])
    scores, baselines = by_hand(runs, "selfguide", "tuned_score"), by_hand(runs, "selfguide", "baseline_score")
    assert len({tuple(row) for row in (*scores, *baselines)}) == 6
    assert np.array_equal(own.scores, scores) and np.array_equal(own.baselines, baselines)
    assert np.array_equal(differences_of(own, other), scores - by_hand(runs, "few_shot_finetune", "tuned_score"))


def test_a_gain_is_over_the_base_model_of_the_same_seed(runs: dict[tuple[str, int], RunFolder]) -> None:
    own, other = (group(runs, variant, SEEDS) for variant in ("selfguide", "few_shot_finetune"))
    singles, _ = figures_of([own, other], {"all": ["task_a"]}, "few_shot_finetune")
    figure = singles["selfguide", "task_a"]
    gains = by_hand(runs, "selfguide", "tuned_score") - by_hand(runs, "selfguide", "baseline_score")
    assert figure.gain is not None and figure.gain.gain == crossed_gain([gains])
    assert figure.score == interval_of([own], "score") == crossed_interval([own.scores])
    over = by_hand(runs, "selfguide", "tuned_score") - by_hand(runs, "few_shot_finetune", "tuned_score")
    assert figure.against is not None and figure.against.gain == crossed_gain([over])
    known = [kept.gain for kept in singles.values() if kept.gain is not None]
    assert [kept.holm for kept in known] == holm([kept.gain.p for kept in known])
    assert figure.against.holm == figure.against.gain.p, "one comparison is not corrected for others"


def test_groups_of_other_seeds_are_paired_by_their_means(runs: dict[tuple[str, int], RunFolder]) -> None:
    two, three = group(runs, "selfguide", (0, 1)), group(runs, "few_shot_finetune", SEEDS)
    expected = by_hand(runs, "selfguide", "tuned_score")[:2].mean(axis=0)
    expected = expected - by_hand(runs, "few_shot_finetune", "tuned_score").mean(axis=0)
    assert differences_of(two, three) == pytest.approx(expected[None])
    others = group(runs, "few_shot_finetune", (1, 2))  # as many, but not the same
    expected = by_hand(runs, "selfguide", "tuned_score")[:2].mean(axis=0)
    expected = expected - by_hand(runs, "few_shot_finetune", "tuned_score")[1:].mean(axis=0)
    assert differences_of(two, others) == pytest.approx(expected[None])


def test_an_average_needs_every_task(runs: dict[tuple[str, int], RunFolder]) -> None:
    averages = {"one": ["task_a"], "both": ["task_a", "task_b"], "none": []}
    _, means = figures_of([group(runs, "selfguide", SEEDS)], averages)
    assert set(means) == {("selfguide", "one")}


def test_corrections_go_over_all_figures_or_over_those_of_each_variant(runs: dict[tuple[str, int], RunFolder]) -> None:
    groups = [group(runs, variant, SEEDS) for variant in ("selfguide", "few_shot_finetune")]
    corrected = {}
    for by_variant in (False, True):
        singles, _ = figures_of(groups, {}, by_variant=by_variant)
        gains = [figure.gain for figure in singles.values() if figure.gain is not None]
        corrected[by_variant] = [(kept.gain.p, kept.holm) for kept in gains]
    assert all(p == adjusted for p, adjusted in corrected[True])
    assert min(corrected[False])[1] == pytest.approx(2 * min(corrected[False])[0])


def test_figures_as_they_are_written() -> None:
    assert [p_value(p) for p in (None, 0.0009, 0.001, 0.0126, 1.0)] == ["", "<0.001", "0.001", "0.013", "1.000"]
    assert [percent(0.48149), points(0.048), points(-0.0004), points(-0.05)] == ["48.1", "+4.8", "−0.0", "−5.0"]
    assert with_interval(Interval(0.5, 0.25, 0.75, 9)) == "50.0 [25.0, 75.0]"
    assert with_interval(Gain(0.1, -0.05, 0.25, 0.2)) == "+10.0 [−5.0, +25.0]"
