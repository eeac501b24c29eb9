"""The frozen winner of a sweep: a YAML file that runs take, and refuse when it no longer fits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError

from selfguide.config.renamed import renamed_in
from selfguide.core.errors import ConfigError
from selfguide.core.files import canonical_json, write_text
from selfguide.core.paths import expanded
from selfguide.search.fingerprint import differences

VERSION = 2
MAX_BYTES, MAX_NODES = 4_000_000, 400_000
HEADER = """\
# A setting frozen by a sweep. Use it with frozen_config=THIS_FILE; runs refuse it once it is edited, or when
# the data, the prompts, the metric or the list of tasks is no longer what it was chosen on.
"""


Scalar = StrictBool | StrictInt | StrictFloat | StrictStr | None


class _Checked(BaseModel):
    """What is read of a file by its type; it may hold more."""


class _Task(_Checked):
    metric: StrictStr
    split: Literal["validation", "test"]
    hash: StrictStr
    prompt: dict[StrictStr, Scalar | list[Any]]


class _Model(_Checked):
    identity: StrictStr


class _Study(_Checked):
    name: StrictStr


class _File(_Checked):
    setting: dict[StrictStr, Any]
    values: dict[StrictStr, Any]
    tasks: dict[StrictStr, _Task]
    test_tasks: dict[StrictStr, _Task]
    data: dict[StrictStr, Scalar]
    model: _Model
    study: _Study


class RunContent(NamedTuple):
    """What a frozen setting must fit of a run; `prompt` and `models`: see `selfguide.search.content`."""

    task: str
    split: str
    metric: str
    data_hash: str
    data: Mapping[str, Any]
    prompt: Mapping[str, Any]
    models: Mapping[str, Any]


@dataclass(frozen=True)
class FrozenConfig:
    """`content` is what the file holds, without its own hash."""

    content: Mapping[str, Any]
    path: str = ""

    @property
    def hash(self) -> str:
        """Of the content, 64 hex digits."""
        return hashlib.sha256(canonical_json(self.content).encode()).hexdigest()

    @property
    def setting(self) -> dict[str, Any]:
        """The searched keys and the values that won."""
        return dict(self.content["setting"])

    @property
    def values(self) -> dict[str, Any]:
        """Every key that the frozen setting decides: the setting, and what stood fixed while it was searched."""
        return dict(self.content["values"])

    def misfits(self, run: "RunContent") -> list[str]:
        """Why this frozen setting may not be used for a run; empty if it may.

        Another student is no misfit, nor are other demonstrations (as many): a setting is to hold whichever a user has.
        """
        task, split, metric, data_hash, data, prompt, models = run
        known = {**self.content["tasks"], **self.content["test_tasks"]}
        if task not in known:
            return [f"tasks: {', '.join(known)} -> {task}"]
        then = known[task]
        found = list(differences({"metric": then["metric"]}, {"metric": metric}))
        if task in self.content["tasks"] and then["split"] == split:
            found.append(f"{task}: chosen on its {split} split; allowed: another split")
        found += differences(_without_texts(then["prompt"]), _without_texts(prompt), f"{task}.prompt.")
        found += differences(self.content["data"], dict(data), "data.")
        if self.content["model"]["identity"] == models["model"]["identity"]:
            found += differences(
                {key: self.content["model"].get(key) for key in models["model"]}, models["model"], "model."
            )
        for other in ("teacher", "encoder"):
            found += differences({other: self.content.get(other)}, {other: models.get(other)})
        if then["split"] == split:
            found += differences({"hash": then["hash"]}, {"hash": data_hash}, f"{task}.{split}.")
        return found

    def write(self, path: Path) -> None:
        """Atomically, with its hash as the last entry."""
        body = yaml.safe_dump({**self.content, "hash": self.hash}, sort_keys=False, allow_unicode=True, width=120)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, HEADER + body)


def _without_texts(prompt: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in prompt.items() if key != "demonstration_texts"}


def load(path: Path) -> FrozenConfig:
    """Read a frozen setting. Raises ConfigError if it is none, or was edited."""
    try:
        content = _read(path)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = str(error).strip().splitlines()
        raise ConfigError(f"frozen_config: cannot read {path}: {reason[0] if reason else 'not YAML'}") from error
    if not isinstance(content, dict) or not {"version", "setting", "values", "tasks", "hash"} <= set(content):
        raise ConfigError(f"frozen_config: {path} is not a frozen setting; a sweep writes one as sweeps/NAME/lock.yaml")
    if content["version"] != VERSION:
        raise ConfigError(
            f"frozen_config: {path} has version {content['version']}; allowed: {VERSION}, which holds every knob and "
            "what the prompts are made of. Start its sweep again: finished stages are found in the store"
        )
    values = content["values"] if isinstance(content["values"], dict) else {}
    for problem in renamed_in({key: value for key, value in values.items() if isinstance(key, str)}):
        raise ConfigError(f"frozen_config: {path} is of an earlier version ({problem}); start its sweep again")
    try:
        _File.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"frozen_config: {path} is not a complete frozen setting: {where}: {first['msg']}") from None
    recorded = content.pop("hash")
    lock = FrozenConfig(content, str(path))
    try:
        actual = lock.hash
    except (TypeError, ValueError, RecursionError) as error:  # a date, a set, NaN, text that cannot be encoded
        raise ConfigError(f"frozen_config: {path} was edited after it was frozen ({error})") from None
    if actual != recorded:
        hashes = f"hash {actual[:12]}, recorded {str(recorded)[:12]}"
        raise ConfigError(f"frozen_config: {path} was edited after it was frozen ({hashes})")
    return lock


def _read(path: Path) -> Any:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES} bytes")
    text = path.read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    count, nodes = 0, [content]
    while nodes:  # a few lines of YAML's aliases may stand for gigabytes, or for themselves
        node = nodes.pop()
        count += 1
        nodes += node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
        if max(count, len(nodes)) > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} values")
    return content


def find(reference: str, sweep_folder: Path) -> Path:
    """The file that `frozen_config=…` names: a path, a folder that holds `lock.yaml`, or the name of a sweep.

    A sweep that ran here, and recorded its frozen setting in `sweeps`, comes before the one that is shipped.
    """
    given = expanded(reference, "frozen_config")
    places = (given, Path("sweeps") / reference, sweep_folder / reference)
    tried: Sequence[Path] = (given, *(place / "lock.yaml" for place in places))
    for path in tried:
        if path.is_file():
            return path
    raise ConfigError(
        f"frozen_config: there is no frozen setting {reference!r}; tried {', '.join(str(path) for path in tried)}"
    )
