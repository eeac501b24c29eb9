"""A summary asks the objective once for each trial: with lcb every value is a bootstrap."""

import random

from selfguide.apps.sweep.page import render_sweep
from selfguide.search.objective import Objective, Results
from selfguide.search.summary import Summary, TrialRow, markdown
from tests.search.tables import table


class Counting(Objective):
    asked = 0

    def value(self, results: Results, tasks: object) -> float:
        Counting.asked += 1
        return super().value(results, tasks)  # type: ignore[arg-type]


def test_tables_and_report_take_time_linear_in_the_trials() -> None:
    tasks = ["a", "b"]
    rows = [
        TrialRow(number, number, {"x": number}, results, "finished")
        for number, results in enumerate(table(random.Random(0), 12, tasks, (0,), 20))
    ]
    summary = Summary("s", tasks, ["x"], Counting("lcb", (0,), {}, resamples=100), "exact", rows)
    page, text = render_sweep(summary), markdown(summary)
    assert Counting.asked == len(rows)
    assert summary.winner is not None and f"trial {summary.winner.number}:" in page and text.count("(winner)") == 1
