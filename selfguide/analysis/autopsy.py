"""The synthetic data, looked at from all sides: charts and tables for the report. Looks at no gold."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from markupsafe import Markup

from selfguide.analysis.charts import Bar, Curve, Mark, Series, bars, columns, histogram, lines
from selfguide.analysis.diversity import Diversity, clusters, diversity
from selfguide.analysis.folder import RunFolder
from selfguide.analysis.svg import COLOURS
from selfguide.config.schema import FiltersConfig, RunConfig
from selfguide.core.types import TaskSpec
from selfguide.synthesis.candidates import Candidate, proposals
from selfguide.synthesis.filters import LengthBand

T = TypeVar("T")
MAX_ROUNDS = 60
MAX_POINTS = 200
MAX_CLUSTERS = 12
CLUSTER_TEXTS = 6
NEAR_DUPLICATE = 0.8
COMPARED = 10_000
"""Inputs among which near-duplicates are looked for; of more, a seeded sample: the time grows with their square."""
QUARTILES = ("", "minimum", "quarter", "median", "three quarters", "maximum")


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure: its heading, what it shows in one sentence, the drawing and its numbers as a table."""

    title: str
    caption: str
    drawing: Markup
    header: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Autopsy:
    """All that the report shows about the synthetic data."""

    charts: tuple[Chart, ...]
    agreement: dict[str, Any] | None
    inputs: Diversity | None
    outputs: Diversity | None
    clusters: tuple[dict[str, Any], ...]
    compared: int
    """Of `texts` kept inputs, how many were drawn to look for clusters in."""
    texts: int


def autopsy(run: RunFolder) -> Autopsy | None:
    """The autopsy of a run's data; None for a method that proposes nothing."""
    candidates = proposals(run.candidates)
    if not candidates:
        return None
    task, config = run.task, run.config
    kept = [candidate for candidate in candidates if candidate.dropped is None]
    texts = [candidate.input for candidate in kept]
    compared = texts if len(texts) <= COMPARED else random.Random(0).sample(texts, COMPARED)
    groups = clusters(compared, NEAR_DUPLICATE)
    return Autopsy(
        charts=tuple(chart for chart in _charts(task, config, candidates, run) if chart.drawing),
        agreement=agreement(run),
        inputs=diversity(texts, [d.input for d in task.demonstrations]) if kept else None,
        outputs=_output_diversity(task, kept),
        clusters=tuple(
            {"size": len(group), "texts": [compared[index] for index in group[:CLUSTER_TEXTS]]}
            for group in groups[:MAX_CLUSTERS]
        ),
        compared=len(compared),
        texts=len(texts),
    )


def _charts(task: TaskSpec, config: RunConfig, candidates: Sequence[Candidate], run: RunFolder) -> Iterator[Chart]:
    used = run.description.used
    yield waterfall(candidates, len(run.pairs), used)
    yield by_round(candidates, used)
    yield yield_curve(candidates, used)
    if task.is_classification:
        yield label_balance(task, candidates, [pair.output for pair in run.pairs], used)
    yield vote_shares(run)
    filters = config.filters
    yield lengths("input", task, candidates, filters, switched_on(filters.input_length, task.is_classification))
    if not task.is_classification:
        yield lengths("output", task, candidates, filters, switched_on(filters.output_length, True))


def switched_on(value: str, by_default: bool) -> bool:
    """Whether a length filter of `auto | on | off` is on."""
    return value == "on" or (value == "auto" and by_default)


def waterfall(candidates: Sequence[Candidate], rows: int, used: str) -> Chart:
    """From proposals to the pairs that are `used`, reason by reason."""
    left = len(candidates)
    shown = [Bar("proposed", left, str(left), 0)]
    for side, name in ((False, "accepted inputs"), (True, None)):
        drops = Counter(c.dropped for c in candidates if c.dropped is not None and c.accepted == side)
        for reason, count in drops.most_common():
            left -= count
            shown.append(Bar(words(reason), count, f"−{count}", 4 if side else 3, start=left))
        if name is not None:
            shown.append(Bar(name, left, str(left), 0))
    shown.append(Bar(used, left, str(left) if rows == left else f"{left} ({rows} rows)", 2))
    table = tuple((bar.name, bar.text) for bar in shown)
    caption = f"Where each proposal ended: dropped by an input or output filter, or {used}."
    return Chart("From proposals to pairs", caption, bars("Waterfall of candidates", shown), ("step", "count"), table)


def by_round(candidates: Sequence[Candidate], used: str) -> Chart:
    """What became of each round's proposals."""
    rounds = max(c.round for c in candidates) + 1
    width = -(-rounds // MAX_ROUNDS)
    slots = -(-rounds // width)
    fates = Counter(words(c.dropped or used) for c in candidates)
    order = [used, *(fate for fate, _ in fates.most_common() if fate != used)]
    if len(order) > COLOURS - 1:
        order = [*order[: COLOURS - 2], "other"]
    counts = {fate: [0] * slots for fate in order}
    for candidate in candidates:
        fate = words(candidate.dropped or used)
        counts[fate if fate in counts else "other"][candidate.round // width] += 1
    labels = [
        str(slot * width) if width == 1 else f"{slot * width}–{min(rounds, (slot + 1) * width) - 1}"
        for slot in range(slots)
    ]
    series = [
        Series(fate, values, 2 if fate == used else 3 + rank) for rank, (fate, values) in enumerate(counts.items())
    ]
    table = tuple((label, *(counts[fate][i] for fate in order)) for i, label in enumerate(labels))
    return Chart(
        "Candidates per round, by fate",
        "Later rounds see earlier inputs as drafts: a growing share of duplicates means the model runs out of ideas.",
        columns("Candidates per round and reason", labels, series, x_name="round"),
        ("round", *order),
        table,
    )


def yield_curve(candidates: Sequence[Candidate], used: str) -> Chart:
    """Accepted inputs and pairs kept against proposals."""
    total_accepted = total_kept = 0
    points: list[tuple[int, int, int]] = [(0, 0, 0)]
    for index, candidate in enumerate(candidates, 1):
        total_accepted += candidate.accepted
        total_kept += candidate.dropped is None
        points.append((index, total_accepted, total_kept))
    shown = thinned(points)
    xs = [float(x) for x, _, _ in shown]
    curves = [
        Curve("accepted inputs", xs, [a for _, a, _ in shown], 0),
        Curve(used, xs, [k for _, _, k in shown], 2),
    ]
    caption = "A straight line means a constant yield; a flattening one means that more rounds will add little."
    drawing = lines("Yield curve", curves, x_name="proposals", y_name="texts")
    return Chart("Yield", caption, drawing, ("proposals", "accepted", used), tuple(thinned(points, 12)))


def label_balance(task: TaskSpec, candidates: Sequence[Candidate], kept: Sequence[str], used: str) -> Chart:
    """Labels requested, those of the outputs, and those of the pairs kept."""
    requested = Counter(c.label for c in candidates if c.label is not None and c.accepted)
    elected = Counter(c.output for c in candidates if c.output is not None)
    final = Counter(kept)
    known = list(dict.fromkeys([*task.labels, *elected]))
    series = [
        Series(name, [counts[label] for label in known], colour)
        for name, counts, colour in (("requested", requested, 5), ("output", elected, 0), (used, final, 2))
        if counts
    ]
    table = tuple((label, requested[label], elected[label], final[label]) for label in known)
    caption = f"Labels that accepted inputs were written for, of their outputs, and of the pairs {used}."
    drawing = columns("Label balance", known, series, x_name="label", stacked=False)
    return Chart("Label balance", caption, drawing, ("label", "requested", "output", used), table)


def vote_shares(run: RunFolder) -> Chart:
    """How far the samples agree with the output that was elected."""
    annotation = run.config.annotation
    shares = [share for c in proposals(run.candidates) if (share := run.vote_share(c)) is not None]
    low = sum(c.share is not None and c.dropped == "low_consistency" for c in run.candidates)
    weight, min_share = annotation.conditioning_label_weight, annotation.min_share
    caption = f"{low} of {len(shares)} votes were below annotation.min_share={min_share:g} and were dropped."
    if weight:
        caption += f" That share includes {weight} votes of the requested label; the shares here are of samples only."
    drawing = histogram(
        "Vote shares",
        [Series("share of the samples that agree with the output", shares, 0)],
        x_name="share of the samples",
        bins=20,
        # With more votes than the samples the bound is on another scale.
        marks=[] if weight else [Mark(f"min_share {min_share:g}", min_share)],
        bounds=(0, 1),
    )
    bins = Counter(min(int(share * 10), 9) for share in shares)
    table = tuple((f"{i / 10:.1f} to {(i + 1) / 10:.1f}", bins[i]) for i in range(10))
    return Chart("Agreement of the votes", caption, drawing, ("share", "votes"), table)


def lengths(side: str, task: TaskSpec, candidates: Sequence[Candidate], filters: FiltersConfig, on: bool) -> Chart:
    """Characters of kept and dropped texts against the demonstrations' band."""
    shown = [d.input if side == "input" else d.output for d in task.demonstrations]
    band = LengthBand.around(shown, filters.length_sigmas, filters.length_floor, filters.length_fallback)
    if side == "input":
        kept = [len(c.input) for c in candidates if c.dropped is None]
        gone = [len(c.input) for c in candidates if c.dropped is not None and c.input]
    else:
        kept = [len(c.output) for c in candidates if c.dropped is None and c.output is not None]
        gone = [len(s.text) for c in candidates for s in c.samples if s.dropped is not None and s.text]
    state = "filter on" if on else "filter off"
    marks = [Mark(f"band of the demonstrations ({state})", max(band.low, 0), band.high)] if shown else []
    series = [Series("kept", kept, 2), Series("dropped", gone, 3)]
    drawing = histogram(f"Length of {side}s", series, x_name="characters", marks=marks)
    table = tuple(
        (name, *quartiles(values))
        for name, values in (("kept", kept), ("dropped", gone), ("demonstrations", [*map(len, shown)]))
        if values
    )
    caption = (
        f"The band is mean ± {filters.length_sigmas:g} standard deviations of the demonstrations "
        f"({band.low:.0f} to {band.high:.0f} characters)."
        if shown
        else "Without demonstrations no length is expected."
    )
    return Chart(f"Length of {side}s", caption, drawing, QUARTILES, table)


def agreement(run: RunFolder) -> dict[str, Any] | None:
    """Requested label against elected label, as a table of counts with their share of the row."""
    task, voted = run.task, [c for c in run.candidates if c.label and c.output is not None and c.share is not None]
    if not voted:
        return None
    trained = [c for c in voted if c.dropped is None]
    known = list(dict.fromkeys([*task.labels, *(str(c.output) for c in voted)]))
    counts = Counter((c.label, c.output) for c in voted)
    rows = []
    for requested in task.labels:
        total = sum(counts[requested, elected] for elected in known)
        cells = [
            {
                "count": (count := counts[requested, elected]),
                "heat": round(5 * count / total) if total else 0,
                "same": requested == elected,
            }
            for elected in known
        ]
        rows.append({"label": requested, "cells": cells, "total": total})
    same = sum(c.label == c.output for c in voted)
    return {
        "labels": known, "rows": rows, "same": same, "voted": len(voted), "share": same / len(voted),
        "trained": len(trained), "alone": sum(run.vote_share(c) == 0 for c in trained),
    }  # fmt: skip


def _output_diversity(task: TaskSpec, kept: Sequence[Candidate]) -> Diversity | None:
    outputs = [c.output for c in kept if c.output is not None]
    if task.is_classification or not outputs:
        return None
    return diversity(outputs, [d.output for d in task.demonstrations])


def quartiles(values: Sequence[float]) -> tuple[float, ...]:
    """In the order of `QUARTILES`."""
    ordered = sorted(values)
    return tuple(ordered[round(part * (len(ordered) - 1) / 4)] for part in range(5))


def thinned(points: Sequence[T], limit: int = MAX_POINTS) -> list[T]:
    """At most `limit` of the points, evenly, first and last included."""
    if len(points) <= limit:
        return list(points)
    return [points[round(i * (len(points) - 1) / (limit - 1))] for i in range(limit)]


def words(reason: str) -> str:
    """A drop reason for people."""
    return reason.replace("_", " ")
