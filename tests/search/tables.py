"""Random score tables, and a race run over them by a pool of workers that finish in any order."""

import random
from collections.abc import Mapping, Sequence

from selfguide.search.objective import Objective
from selfguide.search.racing import Race, Trial
from selfguide.search.results import Cell, JobResult

Table = Sequence[Mapping[Cell, JobResult]]
"""For each setting, in the order in which it is asked, the result of every job."""


def table(random: random.Random, settings: int, tasks: Sequence[str], seeds: Sequence[int], instances: int) -> Table:
    """Scores on a coarse grid, so that ties are frequent; tasks differ in difficulty."""
    ease = {task: random.uniform(0.2, 0.8) for task in tasks}
    rows = []
    for _ in range(settings):
        skill = random.uniform(-0.3, 0.3)
        row = {}
        for task in tasks:
            for seed in seeds:
                scores = tuple(float(random.random() < ease[task] + skill) for _ in range(instances))
                baseline = round(random.uniform(0, 0.5), 1)
                row[task, seed] = JobResult(
                    task, seed, sum(scores) / instances, baseline, scores=scores, baselines=(baseline,) * instances
                )
        rows.append(row)
    return rows


def full_winner(rows: Table, tasks: Sequence[str], objective: Objective) -> int | None:
    """What evaluating everything would choose: the best admissible setting, of equals the first asked."""
    admissible = [place for place, row in enumerate(rows) if objective.admissible(row)]
    return max(admissible, key=lambda place: (objective.value(rows[place], tasks), -place), default=None)


def race_over(
    rows: Table, tasks: Sequence[str], objective: Objective, racing: str, workers: int, random: random.Random
) -> tuple[int | None, int]:
    """The race's winner and how many jobs ran. Workers end in random order, as real ones do."""
    race = Race(tasks, objective, racing)  # type: ignore[arg-type]
    waiting = list(range(len(rows)))
    in_flight: list[tuple[int, Cell]] = []
    finished: dict[int, float] = {}
    ran = 0
    while True:
        while len(in_flight) < workers:
            job = race.next_job()
            if job is None and waiting:
                place = waiting.pop(0)
                race.enter(Trial(place, place, {"setting": place}))
                continue
            job = job or race.next_job(ahead=True)
            if job is None:
                break
            cell = (job.task, job.seed)
            race.trials[job.number].in_flight.add(cell)
            in_flight.append((job.number, cell))
            ran += 1
        if not in_flight:
            break
        place, cell = in_flight.pop(random.randrange(len(in_flight)))
        trial = race.trials[place]
        trial.in_flight.discard(cell)
        trial.results[cell] = rows[place][cell]
        race.observe({cell: rows[place][cell]})
        for other in list(race.trials.values()):
            if other.in_flight or not race.decided(other):
                continue
            del race.trials[other.number]
            if race.complete(other):
                race.challenge(other.results, other.origin)
                if objective.admissible(other.results):
                    finished[other.number] = objective.value(other.results, tasks)
    winner = max(finished, key=lambda place: (finished[place], -place), default=None)
    return winner, ran
