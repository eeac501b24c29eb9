"""A comparison as Markdown, CSV and LaTeX. Pure."""

import csv
import io
from collections.abc import Callable, Sequence

from selfguide.analysis.compare import BASELINE, Row, Table
from selfguide.evaluation.statistics import Gain, Interval

HEADER = ("task", "variant", "seeds", "n", BASELINE, "score", "gain", "p", "p (Holm)")
UNFROZEN = "UNFROZEN"  # beside a score: on the test split of a test task, and no frozen setting
LATEX = {
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
}  # fmt: skip


def cells(table: Table) -> tuple[list[str], list[list[str]]]:
    """Header and rows for people: percent with intervals, a mean row for each variant that has all tasks."""
    header = [*HEADER]
    several = len(table.variants) > 1
    if several:
        header += [f"over {table.reference}", "p (Holm) "]
    rows = [_cells(row, several) for row in table.rows]
    for variant in table.variants:
        means = [table.mean(variant, field) for field in ("baseline", "score", "gain")]
        if len(table.tasks) > 1 and None not in means:
            baseline, score, gain = (value for value in means if value is not None)
            loose = any(row.group.frozen is False for row in table.rows if row.group.variant == variant)
            figures = [percent(baseline), _marked(percent(score), loose), points(gain)]
            rows.append([f"mean of {len(table.tasks)}", variant, "", "", *figures, "", "", *["", ""] * several])
    return header, rows


def markdown(tables: Sequence[Table]) -> str:
    """GitHub's tables, one under each column's name."""
    parts = []
    for table in tables:
        header, rows = cells(table)
        lines = [header, ["---"] * 3 + ["---:"] * (len(header) - 3), *rows]
        escaped = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
        body = "\n".join("| " + " | ".join(line) + " |" for line in escaped)
        parts.append(f"### {table.column}\n\n{body}\n\n{note(table)}\n")
    return "\n".join(parts)


def latex(tables: Sequence[Table]) -> str:
    """`tabular`s with booktabs, to be put into a `table`."""
    parts = []
    for table in tables:
        header, rows = cells(table)
        body = [" & ".join(map(tex, row)) + r" \\" for row in rows]
        parts.append(
            "\n".join(
                [
                    f"% {str(table.column).translate(str.maketrans('', '', chr(10)))}",
                    rf"\begin{{tabular}}{{lll{'r' * (len(header) - 3)}}}",
                    r"\toprule",
                    " & ".join(map(tex, header)) + r" \\",
                    r"\midrule",
                    *body,
                    r"\bottomrule",
                    r"\end{tabular}",
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


def tex(text: str) -> str:
    """Plain text for LaTeX; minus and dash as it sets them."""
    escaped = "".join(LATEX.get(character, character) for character in text)
    return escaped.replace("−", "$-$").replace("–", "--")


def comma_separated(tables: Sequence[Table]) -> str:
    """All columns in one file, scores from 0 to 1; the first columns tell metric and split, so nothing is mixed up."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = ("value", "ci_low", "ci_high")
    writer.writerow([
        "metric", "extraction", "decoding", "split", "task", "variant", "seeds", "frozen", "n",
        *(f"{name}_{figure}" for name in ("baseline", "score", "gain") for figure in figures),
        "p", "p_holm", "reference", "over_reference", "over_reference_p_holm",
    ])  # fmt: skip
    for table in tables:
        for row in table.rows:
            group = row.group
            values = [getattr(item, f) for item in (row.baseline, row.score, row.gain) for f in figures]
            against = "" if row.against is None else row.against.value
            writer.writerow([
                *table.column, group.task, group.variant, " ".join(map(str, group.seeds)),
                "" if group.frozen is None else str(group.frozen).lower(), row.score.n, *values,
                row.gain.p, row.holm, table.reference, against, "" if row.against_holm is None else row.against_holm,
            ])  # fmt: skip
    return text.getvalue()


def note(table: Table) -> str:
    """What the figures of a table are."""
    loose = any(row.group.frozen is False for row in table.rows)
    return (
        "Percent with 95 % bootstrap intervals over seeds and instances; gain: points over few-shot ICL on the same "
        "instances, with the 95 % t interval over seeds and instances; p: of the same t test, or of sign flips over "
        f"the instances if larger, corrected by Holm over the variant's tasks ({len(table.tasks)} in this table)."
        + f" {UNFROZEN}: on the test split of a test task, and no frozen setting."
        * loose
    )


def _cells(row: Row, several: bool) -> list[str]:
    group = row.group
    shown = [
        group.task, group.variant, ", ".join(map(str, group.seeds)), str(row.score.n), with_interval(row.baseline),
        _marked(with_interval(row.score), group.frozen is False), with_interval(row.gain, points),
        p_value(row.gain.p), p_value(row.holm),
    ]  # fmt: skip
    if several:
        shown.append("" if row.against is None else with_interval(row.against, points))
        shown.append("" if row.against_holm is None else p_value(row.against_holm))
    return shown


def _marked(score: str, unfrozen: bool) -> str:
    return f"{score} {UNFROZEN}" if unfrozen else score


def with_interval(value: Interval | Gain, shown: Callable[[float], str] | None = None) -> str:
    """`48.1 [45.0, 51.3]`."""
    form = shown or percent
    return f"{form(value.value)} [{form(value.ci_low)}, {form(value.ci_high)}]"


def percent(value: float) -> str:
    """A score from 0 to 1 as percent."""
    return f"{100 * value:.1f}"


def points(value: float) -> str:
    """A difference in points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def p_value(value: float) -> str:
    """Three decimals, or the bound."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"
