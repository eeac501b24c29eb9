"""Where the YAML files are: `selfguide/conf` in an installed wheel, `conf` in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
RESOURCES = _PACKAGE / "resources"


def config_dir() -> Path:
    """The folder with `config.yaml`; absolute, so that the working directory does not matter."""
    shipped = _PACKAGE / "conf"
    return shipped if shipped.is_dir() else _PACKAGE.parent / "conf"
