"""`sweep_report.html`: one offline page; no script, no fonts, nothing fetched."""

from collections.abc import Iterable
from html import escape

from selfguide.search.results import describe
from selfguide.search.summary import Summary, TrialRow, columns, worst
from selfguide.search.summary import cells as row_cells

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2330;background:#fff}
h1{font-size:1.5rem}
h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:.2rem .55rem;text-align:right;border-bottom:1px solid #e3e6ec}th{font-weight:600}
tr.winner td{font-weight:700}
td.none{color:#a5adba}.scroll{overflow-x:auto}pre{background:#f4f5f8;padding:.8rem;overflow-x:auto}
svg text{font:11px system-ui,sans-serif;fill:#1c2330}.note{color:#596273}details{margin:.5rem 0}
@media(prefers-color-scheme:dark){body{background:#14171d;color:#e4e8ef}td,th{border-color:#2c323d}
pre{background:#1d2129}
svg text{fill:#e4e8ef}.note{color:#9aa4b5}}
"""
WIDTH, HEIGHT = 640, 220
KINDS = {
    "worst_score": "the minimum over tasks of the score",
    "worst_gain": "the minimum over tasks of the gain over few-shot prompting",
    "lcb": "the lower confidence bound of the minimum over tasks of the score",
}


def render(summary: Summary) -> str:
    """The whole page."""
    parts = [
        f"<h1>Sweep {escape(summary.study)}</h1>",
        _headline(summary),
        _section("History", _history(summary)),
        _section("Scores by task", _heat_map(summary)),
        _section("Importance of the searched keys", _importance(summary)),
        _section("What racing and the store saved", _savings(summary)),
        _section("How much of the minimum is luck", _optimism(summary)),
        _section("Failures", _failures(summary)),
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(summary.study)}</title>'
    viewport = '<meta name="viewport" content="width=device-width,initial-scale=1">'
    return f"{head}{viewport}<style>{STYLE}</style><body>{''.join(part for part in parts if part)}</body></html>\n"


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}" if body else ""


def _headline(summary: Summary) -> str:
    winner = summary.winner
    kind = KINDS[summary.objective.kind]
    if winner is None:
        return "<p>No setting is finished and above every floor: there is no winner.</p>"
    gain = worst(winner.results, summary, gain=True)
    score = worst(winner.results, summary, gain=False)
    more = "" if gain is None else f", smallest gain over few-shot prompting {gain:+.3f}"
    return (
        f"<p>Maximised: {escape(kind)}. The winner of {len(summary.decided)} settings is trial {winner.number}:</p>"
        f"<pre>{escape(describe(winner.setting))}</pre>"
        f"<p>Its value is {summary.value(winner):.3f} (smallest task score {score:.3f}{more}).</p>"
    )


def _history(summary: Summary) -> str:
    rows = summary.decided
    if not rows:
        return ""
    values = [summary.value(row) for row in rows]
    low, high = min([*values, 0.0]), max([*values, 0.01])
    x = [40 + (WIDTH - 60) * (place + 0.5) / len(rows) for place in range(len(rows))]
    y = [HEIGHT - 25 - (HEIGHT - 45) * (value - low) / (high - low) for value in values]
    shapes = [_axis(low, high)]
    best, path = float("-inf"), []
    for place, row in enumerate(rows):
        if row.state == "finished" and summary.objective.admissible(row.results):
            best = max(best, values[place])
        if best > float("-inf"):
            path.append(f"{x[place]:.1f},{HEIGHT - 25 - (HEIGHT - 45) * (best - low) / (high - low):.1f}")
        fill = "#2f6fde" if row.state == "finished" else "none"
        name = escape(f"trial {row.number}: {describe(row.setting)}: {values[place]:.3f} {row.state}")
        dot = f'cx="{x[place]:.1f}" cy="{y[place]:.1f}" r="4" fill="{fill}" stroke="#2f6fde"'
        shapes.append(f"<circle {dot}><title>{name}</title></circle>")
    if path:
        shapes.append(f'<polyline points="{" ".join(path)}" fill="none" stroke="#d9822b" stroke-width="1.5"/>')
    note = "Filled: finished. Hollow: pruned, at its running minimum. Line: the best so far."
    frame = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" role="img" aria-label="history"'
    return f"<svg {frame}>{''.join(shapes)}</svg>{_note(note)}"


def _axis(low: float, high: float) -> str:
    parts = []
    for place in range(5):
        value = low + (high - low) * place / 4
        y = HEIGHT - 25 - (HEIGHT - 45) * place / 4
        parts.append(f'<line x1="38" x2="{WIDTH - 15}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884" />')
        parts.append(f'<text x="33" y="{y + 4:.1f}" text-anchor="end">{value:.2f}</text>')
    return "".join(parts)


def _heat_map(summary: Summary) -> str:
    first = 1 + len(summary.keys)
    last = first + len(summary.tasks)
    ranges = [_range(summary, task) for task in summary.tasks]
    body = []
    for row in summary.rows:
        shown = row_cells(summary, row)
        scores = [summary.objective.task_score(row.results, task) for task in summary.tasks]
        marked = [f"<td>{escape(cell)}</td>" for cell in shown[:first]]
        marked += [_heat(score, *bounds) for score, bounds in zip(scores, ranges, strict=True)]
        marked += [f"<td>{escape(cell)}</td>" for cell in shown[last:]]
        body.append(f"<tr{' class=winner' if row is summary.winner else ''}>{''.join(marked)}</tr>")
    heads = "".join(f"<th>{escape(head)}</th>" for head in columns(summary))
    note = "Colour runs within each task from its lowest score to its highest. A dot: a job that was not needed."
    return f'<div class="scroll"><table><tr>{heads}</tr>{"".join(body)}</table></div>{_note(note)}'


def _range(summary: Summary, task: str) -> tuple[float, float]:
    scores = [s for row in summary.rows if (s := summary.objective.task_score(row.results, task)) is not None]
    return min(scores, default=0.0), max(scores, default=1.0)


def _heat(score: float | None, low: float, high: float) -> str:
    if score is None:
        return '<td class="none">·</td>'
    share = (score - low) / (high - low) if high > low else 0.5
    return f'<td style="background:hsl({20 + 120 * share:.0f} 65% 50% / .35)">{score:.3f}</td>'


def _importance(summary: Summary) -> str:
    if not summary.importance:
        return "<p>Needs a few more finished trials of different value.</p>"
    rows = (
        f"<tr><th>{escape(key)}</th><td>{share:.2f}</td>"
        f'<td style="text-align:left"><svg width="200" height="10">'
        f'<rect width="{200 * share:.0f}" height="10" fill="#2f6fde"/></svg></td></tr>'
        for key, share in summary.importance.items()
    )
    return f"<table>{''.join(rows)}</table>{_note('Share of the variation of the objective (PED-ANOVA).')}"


def _savings(summary: Summary) -> str:
    saved = summary.racing_savings
    spent = sum(row.seconds for row in summary.rows)
    found = sum(row.saved_seconds for row in summary.rows)
    return _list(
        [
            f"Racing ({summary.racing}): {saved.ran} of all {saved.full} jobs ran, {saved.share:.0%} saved.",
            f"Store: stages worth {found:.0f} s were found, {spent:.0f} s were computed.",
        ]
    )


def _optimism(summary: Summary) -> str:
    luck = summary.optimism
    if luck is None:
        return "<p>Unknown: the jobs left no scores per instance.</p>"
    small = min(luck.deciding, key=lambda task: _size(summary, task))
    lines = [
        f"Smallest {'gain' if summary.objective.kind == 'worst_gain' else 'score'} as measured: {luck.measured:.3f} "
        f"(bootstrap {summary.objective.confidence:.0%} interval {luck.low:.3f} to {luck.high:.3f}).",
        f"Selection optimism: {luck.optimism:+.3f}; expected on as many fresh instances: {luck.corrected:.3f}.",
        "Which task decides, over resamples: "
        + ", ".join(f"{task} {share:.0%}" for task, share in luck.deciding.items() if share > 0)
        + ".",
    ]
    if luck.deciding[small] > 0.5 and _size(summary, small) < 50:
        lines.append(f"Caution: {small} decides most comparisons and has {_size(summary, small)} instances only.")
    note = f"Bootstrap over instances, choosing anew each time among the {luck.settings} admissible finished settings."
    return _list(lines) + _note(note)


def _size(summary: Summary, task: str) -> int:
    winner = summary.winner
    assert winner is not None
    return max(len(result.scores) for result in winner.results.values() if result.task == task)


def _failures(summary: Summary) -> str:
    failed: list[TrialRow] = [row for row in summary.rows if row.error]
    return "".join(
        f"<details><summary>trial {row.number}: {escape(describe(row.setting))}</summary>"
        f"<pre>{escape(row.error or '')}</pre></details>"
        for row in failed
    )


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'
