"""Importance of the searched keys: racing must not change what it says."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np

from selfguide.apps.sweep.finish import importance_of
from selfguide.search.objective import Objective
from selfguide.search.results import Cell, JobResult
from selfguide.search.space import read_space
from selfguide.search.summary import TrialRow
from tests.sweeper.in_memory import plan_for

TASKS = ("t0", "t1", "t2", "t3")


def test_importance_counts_the_settings_that_racing_stopped(tmp_path: Path) -> None:
    space = read_space({"a": "choice(0,1)", "b": "choice(0,1,2,3)", "c": "choice(0,1)"}, [])
    objective = Objective("worst_score", (0,), {})
    plan = replace(plan_for(2, TASKS, objective, tmp_path), space=space)
    wrong: dict[str, list[float]] = {"stopped": [], "survivors": []}
    for seed in range(10):
        draw = np.random.default_rng(seed)
        effects = {
            key: draw.normal(0, spread, 4)
            for key, spread in zip("abc", draw.permutation([0.02, 0.06, 0.15]), strict=True)
        }
        ease = np.sort(draw.uniform(0.4, 0.7, 4))
        full, raced, best = [], [], -1.0
        points = space.points()
        assert points is not None
        random.Random(seed).shuffle(points)
        for number, setting in enumerate(points):
            skill = sum(effects[key][value] for key, value in setting.items())
            scores = (ease + skill + draw.normal(0, 0.03, 4)).clip(0, 1)
            results: dict[Cell, JobResult] = {
                (t, 0): JobResult(t, 0, float(s)) for t, s in zip(TASKS, scores, strict=True)
            }
            full.append(TrialRow(number, number, setting, results, "finished"))
            ran: dict[Cell, JobResult] = {}
            for cell, result in results.items():
                ran[cell] = result
                if objective.value(ran, TASKS) <= best:
                    break
            finished = len(ran) == len(TASKS)
            best = max(best, objective.value(ran, TASKS)) if finished else best
            raced.append(TrialRow(number, number, setting, ran, "finished" if finished else "pruned"))
        truth = importance_of(full, plan)
        survivors = [row for row in raced if row.state == "finished"]
        for name, rows in (("stopped", raced), ("survivors", survivors)):
            if said := importance_of(rows, plan):
                wrong[name].append(max(abs(said[key] - truth[key]) for key in truth))
    assert np.median(wrong["stopped"]) < 0.01 and np.mean(wrong["stopped"]) < 0.3 * np.mean(wrong["survivors"])
