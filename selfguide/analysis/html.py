"""`report.html`: one file that shows a run, offline. Made from the run folder alone, so it can be made again.

The page allows itself one script and one style sheet, by hash; everything else is text.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from selfguide.analysis import gold_section, running
from selfguide.analysis.autopsy import autopsy
from selfguide.analysis.charts import Whisker, whiskers
from selfguide.analysis.folder import RunFolder
from selfguide.analysis.payload import candidate_rows, case_rows, embedded, pair_rows
from selfguide.config.builtin import METRICS
from selfguide.core.files import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

FILE = "report.html"
TEMPLATES = Path(__file__).parent / "templates"


def write_report(folder: Path, *, gold: bool = True) -> Path:
    """Write `report.html` into a run folder. `gold=False` leaves the whole evaluation section out."""
    page = render_report(RunFolder.open(folder), gold=gold)
    write_text(folder / FILE, page)
    return folder / FILE


def render_report(run: RunFolder, *, gold: bool = True) -> str:
    """The page as text. Raises `DataError` for a folder that is no finished run."""
    candidates, candidate_limit = candidate_rows(run)
    cases, case_limit = case_rows(run) if gold else ([], None)
    details, result = run.details, run.result
    data = {
        "task": run.task.name,
        "used": run.description.used,
        "candidates": candidates,
        "cases": cases,
        "pairs": pair_rows(run, cases),
    }
    evaluation = None
    if gold and run.predictions:
        charts = [gold_section.real_lengths(run, "input")]
        if not run.task.is_classification:
            charts.append(gold_section.real_lengths(run, "output"))
        charts.append(gold_section.input_map(run))
        evaluation = {
            "charts": charts,
            "overlaps": gold_section.overlaps(run),
            "outcomes": gold_section.better_or_worse(run),
            "shown": len(cases),
            "total": len(run.predictions),
            "limit": case_limit,
        }
    return render(
        "report.html.j2",
        data,
        run=run,
        result=result,
        details=details,
        task=run.task,
        description=run.description,
        scores=whiskers("Scores with their intervals", score_rows(result)) if result["score"] else None,
        autopsy=autopsy(run),
        frozen=frozen(result),
        loss=running.loss_chart(details),
        cost=running.cost_chart(result),
        forecast=running.forecast_rows(details, result),
        memory={running.label(f"memory.{k}"): running.size(v) for k, v in details.get("memory", {}).items()},
        evaluation=evaluation,
        candidates={"shown": len(candidates), "total": len(run.candidates), "limit": candidate_limit},
        settings=list(flat(details["config"])),
    )


def score_rows(result: Mapping[str, Any]) -> list[Whisker]:
    """Baseline, controls, method, floors."""

    def row(name: str, score: Mapping[str, float], colour: int) -> Whisker:
        return Whisker(name, score["value"], score["ci_low"], score["ci_high"], colour)

    rows = [row("few-shot ICL (base)", result["baseline"], 0)]
    rows += [row(f"control: {name.replace('_', ' ')}", score, 5) for name, score in result["controls"].items()]
    if result["method"] != "few_shot_icl":
        rows.append(row(result["method"], result["score"], 2))
    return rows + [
        Whisker(f"floor: {name.replace('_', ' ')}", value, colour=9) for name, value in result["floors"].items()
    ]


def frozen(result: Mapping[str, Any]) -> str:
    """The frozen setting that a run took, in words; without one, whether it had to take one."""
    if lock := result.get("lock"):
        return f"{lock['hash']}, of the sweep {lock['study']}"
    return "none: UNFROZEN" if result.get("frozen") is False else "not due"


def render(template: str, data: Any, *, forms: bool = False, **content: Any) -> str:
    """A page from a template of this package, with `data` for its script, and a policy that allows no other.

    Without data there is no script at all. With `forms` it may ask the server that it came from.
    """
    style, script = _asset("chart.css") + _asset("page.css"), "" if data is None else _asset("page.js")
    scripts = f"'{_hash(script)}'" if script else "'none'"
    actions = "'self'" if forms else "'none'"
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src {scripts}; "
        f"img-src data:; base-uri 'none'; form-action {actions}"
    )
    # Both files are ours; what they hold must reach the browser as it is, or the hashes fail.
    ours = {"style": Markup(style), "script": Markup(script)}
    page = _environment().get_template(template).render(policy=policy, data=embedded(data), **ours, **content)
    return str(page)


def flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """A nested configuration as (dotted key, value) rows."""
    if isinstance(value, Mapping) and value:
        return [row for key, inner in value.items() for row in flat(inner, f"{prefix}.{key}" if prefix else str(key))]
    return [(prefix, "null" if value is None else str(value))]


@cache
def _environment() -> "Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f}"
    environment.filters["points"] = lambda value: f"{100 * value:+.1f}".replace("-", "−")
    environment.filters["p_value"] = lambda value: "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
    environment.filters["metric"] = lambda name: METRICS.title(str(name))
    environment.filters["words"] = lambda text: str(text).replace("_", " ")
    return environment


@cache
def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
