"""Dataset and model cards: YAML front matter, the rest from a template; a model's text cannot end its block."""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from selfguide.analysis.folder import RunFolder

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
LICENCES = {
    "sni": (
        "Instruction and demonstrations are from Super-NaturalInstructions, whose repository is under Apache-2.0; "
        "many of its tasks come from data sets with licences of their own, named in the task file."
    ),
    "micro": "Instruction and demonstrations are from a bundled task of selfguide (Apache-2.0).",
    "hub": "Instruction and demonstrations were given by the user, for the data set {path} of the hub: see its card.",
    "json": "Instruction and demonstrations are from the user's own task file; its author decides on their licence.",
}


def card(template: str, run: RunFolder, front: dict[str, Any], **content: Any) -> str:
    """A card's text: YAML front matter without empty values, then the template."""
    kept = {key: value for key, value in front.items() if value not in (None, [], "")}
    head = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
    body = (
        _environment()
        .get_template(template)
        .render(
            run=run,
            description=run.description,
            synthetic=is_synthetic(run),
            base=base_shown(run),
            writer=writer_shown(run),
            result=run.result,
            config=run.details["config"],
            task=run.task,
            command=run.details["command"],
            task_licence=task_licence(run),
            **content,
        )
    )
    return f"---\n{head}---\n\n{body}"


def task_licence(run: RunFolder) -> str:
    """What is known about the rights on instruction and demonstrations."""
    task = run.details["config"]["task"]
    return LICENCES[task["source"]].format(path=task["hub"]["path"])


def base_model(run: RunFolder) -> str | None:
    """The base model's hub id; None for a bundled model or a local folder, whose path is nobody else's business."""
    return hub_id(str(run.details["config"]["model"]["path"]))


def hub_id(path: str) -> str | None:
    """`path` as a hub id, without its revision; None for a bundled model or a local folder."""
    name = path.partition("@")[0]
    is_hub_id = re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not Path(path).expanduser().exists()
    return name if is_hub_id else None


def writer_path(run: RunFolder) -> str:
    """`model.path` of the model that made the data: the teacher's, if there is another one."""
    config = run.config
    return config.model.path if config.teacher.model is None else config.teacher.model.path


def writer_shown(run: RunFolder) -> str:
    """The model that made the data, for people."""
    if run.config.teacher.model is None:
        return base_shown(run)
    return hub_id(writer_path(run)) or "another model, the teacher (local)"


def is_synthetic(run: RunFolder) -> bool:
    """Whether rows that a model made are among those trained on."""
    return bool(run.result["counts"].get("synthetic", run.result["counts"]["train"]))


def base_shown(run: RunFolder) -> str:
    """The base model for people."""
    origin = "bundled with selfguide" if is_bundled(run) else "a local model"
    return base_model(run) or f"{run.result['model']} ({origin})"


def is_bundled(run: RunFolder) -> bool:
    """Whether the base is the model in the package."""
    return bool(run.details["config"]["model"]["path"] == "micro")


def slug(text: str) -> str:
    """Letters, digits and dashes: what a hub's tags and names may hold."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "task"


def fenced(text: str) -> str:
    """A Markdown code block that no run of backticks inside can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def cell(value: Any) -> str:
    """One line of plain text for a Markdown table."""
    text = " ".join(str(value).split())
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("`", "&#96;")):
        text = text.replace(character, entity)
    return text


@cache
def _environment() -> "Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        # Markdown, not HTML: `fenced` and `cell` keep a model's text in its place.
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f}"
    environment.filters["points"] = lambda value: f"{100 * value:+.1f}"
    environment.filters |= {"fenced": fenced, "cell": cell, "python": repr}
    return environment
