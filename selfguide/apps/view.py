"""`selfguide view runs/`: the runs below a folder in a browser: sort, compare, open. On this machine alone."""

import argparse
import contextlib
import webbrowser
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from selfguide.config.command import fail
from selfguide.core.errors import DataError, SelfguideError
from selfguide.core.escaping import terminal

if TYPE_CHECKING:
    from selfguide.analysis.folder import RunFolder

HOST = "127.0.0.1"
PAGES = ("sweep_report.html", "comparison.html")


class Head(NamedTuple):
    """A column of the list: its title, and what its rows are sorted by."""

    title: str
    value: Callable[["RunFolder"], Any]
    number: bool = False


def _of(*keys: str) -> Callable[["RunFolder"], Any]:
    def value(run: "RunFolder") -> Any:
        found: Any = run.result
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    return value


HEADS = {
    "run": Head("run", lambda run: str(run.path)),
    "task": Head("task", _of("task")),
    "method": Head("method", _of("method")),
    "model": Head("model", _of("model")),
    "seed": Head("seed", _of("seed"), number=True),
    "measured": Head("metric and split", lambda run: f"{run.result['metric']}, {run.result['split']}"),
    "baseline": Head("few-shot ICL", _of("baseline", "value"), number=True),
    "score": Head("score", _of("score", "value"), number=True),
    "gain": Head("gain", _of("gain", "value"), number=True),
    "control": Head("over the control", _of("gains", "few_shot_finetune", "value"), number=True),
    "pairs": Head("training pairs", _of("counts", "train"), number=True),
    "seconds": Head("seconds", _of("seconds", "total"), number=True),
    "finished": Head("finished", lambda run: (run.path / "result.json").stat().st_mtime, number=True),
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point: serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="selfguide view", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs"), help="folder with runs (runs/)")
    parser.add_argument("--port", type=int, default=8787, help="port to listen on (8787); 0: any free one")
    parser.add_argument("--open", action="store_true", help="also open a browser")
    options = parser.parse_args(arguments)
    if not options.folder.is_dir():
        fail(f"{options.folder}: no such folder; name the folder with your runs")
    try:
        server = serving(options.folder, options.port)
    except (OSError, OverflowError) as error:
        fail(f"--port {options.port}: {error}; take another, or 0 for any that is free")
    address = f"http://{HOST}:{server.server_port}/"
    print(f"{terminal(str(options.folder))} at {address}; stop with Ctrl-C", flush=True)
    if options.open:
        webbrowser.open(address)
    with contextlib.suppress(KeyboardInterrupt), server:
        server.serve_forever()


def serving(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of `folder` on loopback. Raises `OSError` where the port is taken."""

    class Handler(_Handler):
        root = folder

    return ThreadingHTTPServer((HOST, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    root: Path

    def do_GET(self) -> None:
        """Answer with a page."""
        # A page elsewhere whose name was made to point here (DNS rebinding) names another host.
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            return self._send(HTTPStatus.FORBIDDEN, "ask for 127.0.0.1 or localhost", "text/plain")
        address = urlsplit(self.path)
        try:
            query = parse_qs(address.query, max_num_fields=10_000)
            page = answer(self.root, address.path, query)
        except (SelfguideError, ValueError) as error:
            return self._send(HTTPStatus.BAD_REQUEST, f"error: {error}", "text/plain")
        if page is None:
            return self._send(HTTPStatus.NOT_FOUND, "error: no such page", "text/plain")
        return self._send(HTTPStatus.OK, page, "text/html")

    def _send(self, status: HTTPStatus, text: str, kind: str) -> None:
        body = text.encode("utf-8", errors="replace")
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # the name is the base class's
        """Nothing: a request is no news."""


def answer(root: Path, path: str, query: Mapping[str, list[str]]) -> str | None:
    """The page at `path`; None: there is none. Raises `DataError` for runs that are not there or do not compare."""
    from selfguide.analysis.comparison import compare, render_comparison
    from selfguide.analysis.html import FILE, render_report

    if path == "/":
        return list_page(root, query)
    if path == "/compare":
        known = _runs(root)
        chosen = [_run(known, name) for name in query.get("run", ())]
        return render_comparison(chosen, compare(chosen))
    if path == "/run":
        run = _run(_runs(root), query.get("run", [""])[0])
        written = run.path / FILE
        return written.read_text(encoding="utf-8") if written.exists() else render_report(run)
    if path == "/page":
        pages = _pages(root)
        name = query.get("name", [""])[0]
        return (root / name).read_text(encoding="utf-8") if name in pages else None
    return None


def list_page(root: Path, query: Mapping[str, list[str]]) -> str:
    """Every run below `root`, sorted and searched as `query` says."""
    from selfguide.analysis.html import render

    wanted = query.get("search", [""])[0]
    key, falling = query.get("sort", ["finished"])[0], query.get("order", ["falling"])[0] == "falling"
    if key not in HEADS:
        raise DataError(f"sort: {key}: allowed: {', '.join(HEADS)}")
    runs, unread = [], []
    for name, run in _runs(root).items():
        try:
            cells = _cells(run)
            if all(word in " ".join(cells).casefold() for word in wanted.casefold().split()):
                runs.append((HEADS[key].value(run), name, cells))
        except (SelfguideError, ValueError, KeyError, TypeError, OSError) as error:
            unread.append((name, f"{type(error).__name__}: {error}"))
    measured = [row for row in runs if row[0] is not None]
    measured.sort(key=lambda row: row[0] if HEADS[key].number else str(row[0]), reverse=falling)
    heads = []
    for other, head in HEADS.items():
        order = "rising" if other == key and falling else "falling"
        link = "?" + urlencode({"sort": other, "order": order, **({"search": wanted} if wanted else {})})
        heads.append({"title": head.title, "link": link, "sorted": ("↓" if falling else "↑") if other == key else ""})
    return render(
        "view.html.j2",
        None,
        forms=True,
        root=str(root),
        search=wanted,
        heads=heads,
        rows=[
            {"name": name, "link": "/run?run=" + quote(name, safe=""), "cells": cells}
            for _, name, cells in [*measured, *(row for row in runs if row[0] is None)]
        ],
        pages=[{"name": name, "link": "/page?name=" + quote(name, safe="")} for name in _pages(root)],
        unread=unread,
    )


def _cells(run: "RunFolder") -> list[str]:
    from datetime import datetime

    from selfguide.analysis.figures import points, with_interval
    from selfguide.evaluation.statistics import Gain, Interval

    def shown(key: str) -> str:
        value = HEADS[key].value(run)
        if value is None:
            return ""
        if key in ("baseline", "score"):
            return with_interval(Interval(**run.result[key]))
        if key == "gain":
            return with_interval(Gain(**run.result["gain"]))
        if key == "control":
            return points(value)
        if key == "seconds":
            return f"{value:.0f}"
        if key == "finished":
            return f"{datetime.fromtimestamp(value):%Y-%m-%d %H:%M}"
        return run.name if key == "run" else str(value)

    cells = {key: shown(key) for key in HEADS}
    if cells["score"]:
        cells["score"] += " UNFROZEN" * (run.result.get("frozen") is False)
        cells["score"] += " SEEN" * bool(run.result.get("seen_instances"))
    return list(cells.values())


def _runs(root: Path) -> dict[str, "RunFolder"]:
    from selfguide.analysis.folder import RunFolder

    return {str(file.parent.relative_to(root)): RunFolder(file.parent) for file in sorted(root.glob("**/result.json"))}


def _run(known: Mapping[str, "RunFolder"], name: str) -> "RunFolder":
    if (run := known.get(name)) is None:
        raise DataError(f"{name or 'run'}: no finished run of that name here")
    return run


def _pages(root: Path) -> list[str]:
    return sorted(str(file.relative_to(root)) for name in PAGES for file in root.glob(f"**/{name}"))
