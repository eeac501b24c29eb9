"""Inputs in a plane: the components are those of a principal component analysis, the same each time."""

from pathlib import Path

import numpy as np

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.gold_section import input_map
from selfguide.analysis.neighbours import Vocabulary
from selfguide.analysis.text_map import MAX_TEXTS, plane, spread
from tests.analysis.folders import WORDS, write_run

TEXTS = [f"{WORDS[i % 7]} {WORDS[i % 5 + 7]} {WORDS[i % 3 + 12]}" for i in range(40)]


def test_points_are_principal_components() -> None:
    points, share = plane(TEXTS)
    vectors = Vocabulary(TEXTS).vectors(TEXTS).toarray()
    centred = vectors - vectors.mean(axis=0)
    left, singular, _ = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(np.abs(points), np.abs(left[:, :2] * singular[:2]), atol=1e-9)
    assert np.isclose(share, (singular[:2] ** 2).sum() / (singular**2).sum())
    assert np.array_equal(points, plane(TEXTS)[0])


def test_texts_of_other_words_stand_apart_and_equal_ones_together() -> None:
    points, _ = plane(["a b c", "a b d", "a b c", "x y z", "x y w", "x y z"])
    assert np.allclose(points[0], points[2]) and np.allclose(points[3], points[5])
    first = points[:, 0]
    assert max(first[:3]) < min(first[3:]) or min(first[:3]) > max(first[3:])
    assert plane(["same"] * 3)[1] == 0.0


def test_many_texts_are_thinned_evenly() -> None:
    texts = [str(number) for number in range(10 * MAX_TEXTS)]
    assert spread(texts) == texts[::10] and spread(texts[:3]) == texts[:3]


def test_a_run_without_pairs_has_no_map(tmp_path: Path) -> None:
    run = RunFolder(write_run(tmp_path / "run", proposals=30, instances=20))
    assert input_map(run).drawing.count("<circle") == len(run.pairs) + 20
    assert not input_map(RunFolder(write_run(tmp_path / "none", proposals=0, instances=20))).drawing
