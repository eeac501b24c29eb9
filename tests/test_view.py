"""`selfguide view`: the list of runs, sorted, searched, compared and opened over a real connection."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from selfguide.apps.view import HEADS, serving
from tests.analysis import browser
from tests.analysis.folders import write_run

get = partial(httpx.get, timeout=120)
SMALL = {"proposals": 20, "instances": 30}
NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view") / "runs"
    for index, skill in ((0, 0.9), (1, 0.5)):
        write_run(folder / f"a {index}&x=%2e", seed=9 + index, skill=skill, **SMALL)
    write_run(folder / "deep" / "gen", name="task_gen", classification=False, **SMALL)
    broken = folder / NASTY.replace("/", "")
    broken.mkdir()
    (broken / "result.json").write_text("{")
    (folder / "search").mkdir()
    (folder / "search" / "sweep_report.html").write_text("a sweep")
    (folder.parent / "secret.html").write_text("not yours")
    return folder


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    with serving(root) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def names(page: str) -> list[str]:
    return re.findall(r'<input type="checkbox" name="run" value="([^"]*)"', page)


def test_runs_are_listed_sorted_and_searched(address: str) -> None:
    page = get(address).text
    assert sorted(names(page)) == ["a 0&amp;x=%2e", "a 1&amp;x=%2e", "deep/gen"]
    falling = names(get(address, params={"sort": "seed", "search": "task_a"}).text)
    rising = names(get(address, params={"sort": "seed", "search": "task_a", "order": "rising"}).text)
    assert falling == ["a 1&amp;x=%2e", "a 0&amp;x=%2e"] == rising[::-1]
    assert names(get(address, params={"search": "TASK_GEN rouge"}).text) == ["deep/gen"]
    for key in HEADS:
        assert len(names(get(address, params={"sort": key}).text)) == 3, key
    assert get(address, params={"sort": "__class__"}).status_code == 400


def test_a_run_that_cannot_be_read_is_named_and_hides_no_other(address: str) -> None:
    page = get(address).text
    assert "Not readable" in page and "not JSON" in page and "<script>alert" not in page


def test_every_link_opens(address: str) -> None:
    page = get(address).text
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="([/?][^"]*)"', page)]
    assert sum(link.startswith("/run?") for link in links) == 3 and "/page?name=search%2Fsweep_report.html" in links
    for link in links:
        assert get(address + ("/" if link.startswith("?") else "") + link).status_code == 200, link


def test_runs_are_compared_and_what_cannot_be_is_one_line(address: str) -> None:
    page = get(f"{address}/compare", params={"run": ["a 0&x=%2e", "a 1&x=%2e"]})
    assert page.status_code == 200 and "selfguide comparison" in page.text and "9, 10" in page.text
    for wrong in ({}, {"run": ["no"]}, {"run": ["../secret"]}):
        refused = get(f"{address}/compare", params=wrong)
        assert refused.status_code == 400 and refused.text.startswith("error: ") and "\n" not in refused.text


def test_nothing_outside_and_no_other_host_is_served(address: str) -> None:
    for path in ("/page?name=../secret.html", "/page?name=/etc/hostname", "/../secret.html", "/nothing"):
        assert get(address + path).status_code == 404, path
    assert get(f"{address}/run", params={"run": ".."}).status_code == 400
    assert get(address, headers={"Host": "attacker.example:80"}).status_code == 403
    assert httpx.post(address).status_code == 501


@pytest.mark.browser
def test_the_list_in_a_browser(address: str, tmp_path: Path) -> None:
    driver = browser.start(tmp_path / "profile")
    try:
        for width in (360, 768, 1280):
            browser.resize(driver, width)
            driver.get(address)
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        for box in driver.find_elements("css selector", "input[type=checkbox]")[:3]:
            if "a " in box.get_attribute("value"):
                box.click()
        driver.find_elements("css selector", "button")[-1].click()
        browser.wait_for_title(driver, "Comparison of 2 runs")
        assert browser.console(driver) == []
    finally:
        driver.quit()
