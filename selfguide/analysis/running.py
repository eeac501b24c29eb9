"""What the run cost: losses, seconds, tokens and memory per stage, and how far the forecast was off."""

from collections.abc import Mapping, Sequence
from typing import Any

from selfguide.analysis.autopsy import Chart, thinned
from selfguide.analysis.charts import Bar, Curve, Mark, bars, lines

STAGES = {
    "baseline": "evaluation, base",
    "inputs": "new inputs",
    "outputs": "outputs",
    "dataset": "vote and balance",
    "training": "finetuning",
    "few_shot_finetune": "finetuning (control)",
    "annotator": "finetuning (annotator)",
    "tuned": "evaluation, tuned",
}


def loss_chart(details: Mapping[str, Any]) -> Chart | None:
    """Training loss by step, smoothed where there are many steps."""
    losses: Mapping[str, Sequence[Mapping[str, float]]] = details.get("losses", {})
    drawn = []
    for rank, (name, rows) in enumerate(losses.items()):
        smooth = _smoothed([row["loss"] for row in rows])
        points = thinned(list(zip([float(row["step"]) for row in rows], smooth, strict=True)))
        xs, ys = zip(*points, strict=True)
        drawn.append(Curve(_stage(name), xs, ys, (2, 5, 6, 7)[rank % 4]))
    if not drawn:
        return None
    marks = []
    main = losses.get("training")
    if main:
        epochs = int(details["config"]["finetuning"]["max_epochs"])
        per_epoch = len(main) / epochs
        marks = [Mark(f"epoch {epoch}", epoch * per_epoch) for epoch in range(1, epochs + 1)]
    drawing = lines("Training loss", drawn, x_name="step", y_name="loss", marks=marks)
    table = tuple((c.name, f"{c.ys[0]:.3f}", f"{c.ys[-1]:.3f}", int(c.xs[-1])) for c in drawn)
    return Chart(
        "Training loss",
        "Loss on the answers' tokens alone; long curves are smoothed.",
        drawing,
        ("", "first", "last", "steps"),
        table,
    )


def _smoothed(values: Sequence[float]) -> list[float]:
    if len(values) < 50:
        return list(values)
    keep = 1 - 10 / len(values) if len(values) > 100 else 0.9
    smooth, weight, running = [], 0.0, 0.0
    for value in values:
        running, weight = keep * running + (1 - keep) * value, keep * weight + 1 - keep
        smooth.append(running / weight)
    return smooth


def cost_chart(result: Mapping[str, Any]) -> Chart:
    """Seconds and tokens per stage."""
    seconds = {name: value for name, value in result["seconds"].items() if name != "total"}
    rows = [Bar(_stage(name), value, duration(value), 0) for name, value in seconds.items()]
    table = []
    for name, value in seconds.items():
        tokens = result["tokens"].get(name, {})
        generated = tokens.get("generated")
        rate = "" if not generated or value <= 0 else f"{generated / value:.0f}"
        found = "from the store" if result["cache"].get(name) == "hit" else "computed"
        table.append(
            (
                _stage(name),
                duration(value),
                tokens.get("prompt", ""),
                "" if generated is None else generated,
                rate,
                found,
            )
        )
    total = duration(result["seconds"]["total"])
    caption = f"{total} of work in all. A stage read from the store shows the time it once took to compute."
    header = ("stage", "time", "prompt tokens", "generated tokens", "generated per s", "in this run")
    return Chart("Time and tokens", caption, bars("Time per stage", rows), header, tuple(table))


def forecast_rows(details: Mapping[str, Any], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Forecast against fact: quantity, forecast with interval, fact, whether the interval held."""
    forecast = details.get("forecast")
    if not forecast:
        return []
    facts: dict[str, float] = {f"count.{name}": value for name, value in result["counts"].items()}
    facts |= {f"seconds.{name}": value for name, value in result["seconds"].items()}
    for name, tokens in result["tokens"].items():
        facts |= {f"prompt.{name}": tokens["prompt"], f"generated.{name}": tokens["generated"]}
    facts |= {f"memory.{name}": value for name, value in details.get("memory", {}).items()}
    return [
        {
            "name": label(name), "forecast": amount(name, row["value"]), "low": amount(name, row["low"]),
            "high": amount(name, row["high"]), "fact": amount(name, facts[name]),
            "held": row["low"] <= facts[name] <= row["high"],
        }
        for name, row in forecast["quantities"].items()
        if name in facts
    ]  # fmt: skip


def label(name: str) -> str:
    """A forecast's quantity for people: `seconds.inputs` is "new inputs: time"."""
    kind, _, rest = name.partition(".")
    if kind == "count":
        counts = {
            "proposed": "proposals",
            "accepted_inputs": "accepted inputs",
            "annotated": "inputs with an answer",
            "train": "training pairs",
        }
        return counts.get(rest, rest)
    what = {
        "seconds": "time",
        "prompt": "prompt tokens",
        "generated": "generated tokens",
        "trained": "tokens read",
        "memory": "peak memory",
    }[kind]
    return f"{'whole run' if rest == 'total' else _stage(rest)}: {what}"


def amount(name: str, value: float) -> str:
    """A forecast's value for people."""
    kind = name.partition(".")[0]
    if kind == "seconds":
        return duration(value)
    return size(value) if kind == "memory" else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Bytes as MB or GB."""
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def _stage(name: str) -> str:
    return STAGES.get(name, {"host": "main memory", "device": "GPU memory"}.get(name, name.replace("_", " ")))
