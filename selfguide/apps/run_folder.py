"""A finished run for a command that loads its model: the folder's wishes are not orders."""

import sys
from pathlib import Path

from selfguide.analysis.folder import RunFolder
from selfguide.config.commands import TrustConfig
from selfguide.config.schema import RunConfig
from selfguide.config.trust import is_users_choice
from selfguide.core.errors import DataError


def config_to_load(run: RunFolder, trust: TrustConfig) -> RunConfig:
    """The run's configuration with trust, endpoint and name of the key's variable from the command line.

    What `details.json` asks for instead is said on stderr, and not done.
    """
    config = run.config
    for section in (config.model, config.engine):
        for name in vars(section):
            asked = getattr(section, name)
            if not is_users_choice(name) or asked is None or not hasattr(trust, name) or asked == getattr(trust, name):
                continue
            given = getattr(trust, name)
            setattr(section, name, given)
            print(f"{run.path}: its {name}={asked!r} is ignored; {name}={given} holds (see --help)", file=sys.stderr)
    return config


def finetuned_folder(run: RunFolder) -> Path:
    """The folder with the finetuned weights: `adapter/`, or `model/` of a full finetuning.

    Raises `DataError` if the run has neither.
    """
    for name in ("adapter", "model"):
        if (run.path / name).is_dir():
            return run.path / name
    raise DataError(f"{run.path}: it has no finetuned weights (adapter/ or model/)")
