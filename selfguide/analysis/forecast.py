"""Where a forecast is kept, so that the run it was made for finds it."""

import json
from pathlib import Path
from typing import Any

from selfguide.config.identity import forecast_values
from selfguide.config.schema import RunConfig
from selfguide.core.files import write_json
from selfguide.core.paths import expanded
from selfguide.store import fingerprint


def config_key(config: RunConfig) -> str:
    """The same for a forecast and for the run it is about, 20 hex digits."""
    return fingerprint(forecast_values(config))


def forecast_file(config: RunConfig) -> Path:
    """`forecasts/<key>.json` in the store."""
    return expanded(config.store.root, "store.root") / "forecasts" / f"{config_key(config)}.json"


def save_forecast(config: RunConfig, forecast: dict[str, Any]) -> Path:
    """Keep a forecast; a newer one replaces it."""
    file = forecast_file(config)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, forecast)
    return file


def find_forecast(config: RunConfig) -> dict[str, Any] | None:
    """The forecast for this very configuration, if one was made."""
    file = forecast_file(config)
    if not file.exists():
        return None
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
