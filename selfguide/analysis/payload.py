"""The rows that the page's script filters, as JSON within a budget of bytes.

What comes from a model or a data file goes to the page only here and through autoescaped
templates; the script puts it into text nodes, never into markup.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from markupsafe import Markup

from selfguide.analysis.folder import RunFolder
from selfguide.analysis.neighbours import nearest
from selfguide.core.files import json_text
from selfguide.synthesis.candidates import Candidate

# Together well below 5 MB, whatever the texts are.
CANDIDATE_BYTES = 1_600_000
CASE_BYTES = 2_200_000
PAIR_BYTES = 500_000
TEXT_LIMITS = (4000, 1500, 600, 250, 100)
MAX_ANSWERS = 5
SAME = 1e-9

Row = dict[str, Any]


def embedded(value: Any) -> Markup:
    """JSON that may stand in a script element: no `<`, `>`, `&` and no line separators of JavaScript."""
    text = json_text(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def fitted(rows: Iterable[Row], budget: int, size: Callable[[Row, int], Row]) -> tuple[list[Row], int | None]:
    """Rows with texts cut as little as the budget needs, then as many rows as fit; and the limit in characters.

    No more rows are looked at than fit with the shortest texts, and one.
    """
    possible: list[Row] = []
    total = 0
    for row in rows:
        total += _bytes(size(row, TEXT_LIMITS[-1]))
        if total > budget:
            break
        possible.append(row)
    for limit in TEXT_LIMITS if total <= budget else TEXT_LIMITS[-1:]:
        cut = [size(row, limit) for row in possible]
        if limit == TEXT_LIMITS[-1] or sum(map(_bytes, cut)) <= budget:
            break
    whole = limit == TEXT_LIMITS[0] and cut == [size(row, 10**9) for row in possible]
    return cut, None if whole else limit


def candidate_rows(run: RunFolder) -> tuple[list[Row], int | None]:
    """All candidates: round, requested label and its votes, input, output, share of the samples, fate, answers."""
    weight = run.config.annotation.conditioning_label_weight
    rows = (
        {
            "r": c.round, "l": c.label, "x": c.input, "o": c.output, "d": c.dropped, "a": _answers(c),
            "v": None if (share := run.vote_share(c)) is None else round(share, 3),
            "w": 0 if c.share is None or c.label is None else weight,
        }
        for c in run.candidates
    )  # fmt: skip

    def cut(row: Row, limit: int) -> Row:
        answers = [[_cut(text, limit), count, why] for text, count, why in row["a"]]
        return {**row, "x": _cut(row["x"], limit), "o": _cut(row["o"], limit), "a": answers}

    return fitted(rows, CANDIDATE_BYTES, cut)


def case_rows(run: RunFolder) -> tuple[list[Row], int | None]:
    """All evaluation instances, those that differ first; errors with their nearest synthetic inputs."""
    predictions = run.predictions
    wanted = [
        index
        for index, row in enumerate(predictions)
        if row["tuned_score"] < 1 - SAME or abs(row["tuned_score"] - row["baseline_score"]) > SAME
    ]
    near = nearest([predictions[index]["input"] for index in wanted], [pair.input for pair in run.pairs])
    neighbours = dict(zip(wanted, near, strict=True))
    rows = [
        {
            "i": row["id"], "x": row["input"], "r": row["references"], "b": row["baseline"], "t": row["tuned"],
            "s": [round(row["baseline_score"], 4), round(row["tuned_score"], 4)],
            "k": _kind(row), "n": [list(n) for n in neighbours.get(index, [])],
        }
        for index, row in enumerate(predictions)
    ]  # fmt: skip
    order = {"better": 0, "worse": 1, "wording": 2, "wrong": 3, "same": 4}
    rows.sort(key=lambda row: order[row["k"]])

    def cut(row: Row, limit: int) -> Row:
        texts = {name: _cut(row[name], limit) for name in ("x", "b", "t")}
        return {**row, **texts, "r": [_cut(reference, limit) for reference in row["r"][:5]]}

    return fitted(rows, CASE_BYTES, cut)


def pair_rows(run: RunFolder, cases: Sequence[Row]) -> dict[int, list[str]]:
    """The synthetic pairs that the cases point to, by their indices."""
    used = {index for case in cases for index, _ in case["n"]}
    chosen = [{"p": index, "x": run.pairs[index].input, "o": run.pairs[index].output} for index in sorted(used)]

    def cut(row: Row, limit: int) -> Row:
        return {**row, "x": _cut(row["x"], limit), "o": _cut(row["o"], limit)}

    rows, _ = fitted(chosen, PAIR_BYTES, cut)
    return {row["p"]: [row["x"], row["o"]] for row in rows}


def _kind(row: Row) -> str:
    difference = row["tuned_score"] - row["baseline_score"]
    if abs(difference) > SAME:
        return "better" if difference > 0 else "worse"
    if row["tuned_score"] >= 1 - SAME:
        return "same"
    return "wording" if row["tuned"] != row["baseline"] else "wrong"


def _answers(candidate: Candidate) -> list[tuple[str, int, str | None]]:
    counts = Counter((s.answer if s.answer is not None else s.text, s.dropped) for s in candidate.samples)
    return [(text, count, why) for (text, why), count in counts.most_common(MAX_ANSWERS)]


def _cut(text: str | None, limit: int) -> str | None:
    return text if text is None or len(text) <= limit else text[:limit] + "…"


def _bytes(row: Row) -> int:
    # An embedded `<` takes six bytes.
    text = json_text(row, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "replace")) + 5 * sum(text.count(c) for c in "<>&") + 1
