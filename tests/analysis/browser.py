"""A headless Chromium that lets a test look at a page from disk."""

import shutil
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def start(profile: Path, width: int = 1280) -> Any:
    """A driver; its profile is kept in the folder."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium and chromedriver, "checked by the marker browser"
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},1000"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    driver.set_page_load_timeout(240)
    return driver


def resize(driver: Any, width: int) -> None:
    """A viewport of this width, as a phone or a screen has it."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def console(driver: Any) -> list[str]:
    """What the page said to the console since the last call: errors and refused loads included."""
    return [entry["message"] for entry in driver.get_log("browser")]


def wait_for_title(driver: Any, part: str) -> None:
    """Returns once a page with this in its title is shown: a click does not wait for the page that it opens."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, 240).until(lambda page: part in page.title)
