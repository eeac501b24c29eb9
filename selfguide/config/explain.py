"""Hydra's and OmegaConf's errors as one line that names key, value and what is allowed."""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from types import TracebackType

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString, Sweep
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, ValidationError

from selfguide.config.builtin import NODES
from selfguide.config.disk import chain
from selfguide.config.renamed import renamed_key, renamed_value
from selfguide.core.masking import masked_line
from selfguide.core.paths import config_dir

_OURS = ("selfguide.", "selfguide_", "hydra_plugins.selfguide")
# What Hydra's composing runs within: an error that passes through them is still Hydra's.
_AROUND = ("selfguide.config.command", "selfguide.config.secrets")
LAUNCHERS = {
    "joblib": "joblib",
    "submitit_local": "slurm",
    "submitit_slurm": "slurm",
}
"""Options that Hydra knows once the packages of an extra are installed."""

KINDS = {"Float": "a number", "Integer": "a whole number", "Boolean": "true | false"}


def explain(error: BaseException) -> str:
    """One line for the user, without secrets; falls back to the first line of the innermost message."""
    return masked_line(_line(error))


def _line(error: BaseException) -> str:
    links = list(chain(error))
    overridden = [match[1] for link in links if (match := re.search(r"Could not override '([^']+)'", str(link)))]
    for link in links:
        text = str(link)
        if (match := re.search(r"Could not (?:find|load) 'hydra/launcher/(\w+)'", text)) and match[1] in LAUNCHERS:
            extra = LAUNCHERS[match[1]]
            return f"hydra/launcher={match[1]} needs packages that are not installed: pip install 'selfguide[{extra}]'"
        if match := re.search(r"To append to your default list use (\+(.+?)=.*)", text):
            return f"{match[2]}: is added to the other options; write {match[1]}"
        if match := re.search(r"Ambiguous value for argument '(.+?)=(.*)'", text):
            key, value = match[1], match[2]
            each, listed = f"for a run with each: {key}={value} --multirun", f"as a list: {key}=[{value}]"
            return f"{key}: {value} are several values; {each}; {listed}"
        if match := re.search(r"Could not find '([^']+)/([^']+)'", text):
            return _missing_option(match[1], match[2], text)
        if isinstance(link, ConfigKeyError | ConfigAttributeError):
            return _unknown_key(link, overridden[0] if overridden else None)
        if match := re.search(r"Multiple values for (\S+?)\. To override a value use 'override \S+: (.+?)'", text):
            return f"{match[1]}: an option is chosen already; write {match[1]}={match[2]}"
        if match := re.match(r"(\S+) appears more than once in the final defaults list", text):
            return f"{match[1]}: an option is chosen already; write {match[1]}=… once, without +"
        if match := re.match(r"[Vv]alue '(.*?)' of type '\w+' could not be converted to (\w+)", text):
            return f"{_key(link)}: {match[1]!r} is not allowed; allowed: {KINDS.get(match[2], match[2].lower())}"
        if isinstance(link, ValidationError):
            return f"{_key(link)}: {_lower(_first(link))}"
        if isinstance(link, OverrideParseException):
            reason = [line.strip(" ^") for line in str(link).splitlines() if line and link.override not in line]
            what = next(filter(None, reason), "not understood")
            return f"{link.override}: {what}; quote what has spaces or =,[]{{}}: \"key='a value'\""
    said = [text for link in links if (text := _first(link)) and text != "None"]
    return said[0] if said else repr(error)


def composing_problem(error: Exception, arguments: Sequence[str]) -> str | None:
    """The line for what Hydra and OmegaConf raise while composing that is none of their own errors; `None` for a bug.

    An option that is no name (`task=190`, `method=null`) is a bare ValueError.
    """
    frames = [frame.tb_frame.f_globals.get("__name__", "") for frame in _frames(error)]
    if any(name.startswith(_OURS) and name not in _AROUND for name in frames):
        return None
    if not frames[-1].startswith(("hydra.", "omegaconf.")):
        return None
    for override in _overrides(arguments):
        group, value = override.key_or_group, override.value()
        for item in value.list if isinstance(value, ChoiceSweep) else [value]:
            if is_group(group) and not isinstance(item, str | list | dict | Sweep | QuotedString):
                return f"{group}: {json.dumps(item)} is not allowed; allowed: the name of an option, {group}=NAME"
    return f"the configuration cannot be composed: {_first(error)}"


def is_group(name: str) -> bool:
    """Whether options are chosen under this name."""
    return name in NODES or (config_dir() / name).is_dir() or name.startswith("hydra/") or name == "hydra"


def _frames(error: BaseException) -> Iterator[TracebackType]:
    frame = error.__traceback__
    while frame is not None:
        yield frame
        frame = frame.tb_next


def _overrides(arguments: Sequence[str]) -> Iterator[Override]:
    parser = OverridesParser.create()
    for argument in arguments:
        try:
            yield parser.parse_override(argument)
        except HydraException:  # an option such as --multirun
            continue


def _missing_option(group: str, option: str, text: str) -> str:
    if line := renamed_value(group, option):
        return line
    listed = re.search(r"Available options in '[^']+':\n((?:\t.*\n?)*)", text)
    options = listed[1].split() if listed else []
    near = difflib.get_close_matches(option, options, n=3)
    shown = ", ".join(near) if near else ", ".join(options[:12]) + (", …" if len(options) > 12 else "")
    hint = f"did you mean: {shown}?" if near else f"allowed: {shown or 'none'}"
    return f"{group}: there is no option {option!r}; {hint}"


def _unknown_key(error: ConfigKeyError | ConfigAttributeError, overridden: str | None) -> str:
    key = _key(error)  # of the first part that is not there; `overridden` is the whole of what was written
    if line := renamed_key(overridden or key):
        return line
    node_type = getattr(error, "object_type", None)
    known = [] if node_type is None else list(getattr(node_type, "__dataclass_fields__", {}))
    near = difflib.get_close_matches(key.rsplit(".", 1)[-1], known, n=1)
    prefix = key.rpartition(".")[0]
    if near:
        hint = f"did you mean {prefix + '.' if prefix else ''}{near[0]}?"
    else:
        hint = f"allowed: {', '.join(known)}" if known else "see --cfg job"
    return f"{key}: there is no such key; {hint}"


def _key(error: BaseException) -> str:
    return str(getattr(error, "full_key", None) or getattr(error, "key", None) or "configuration")


def _first(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
