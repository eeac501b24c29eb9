"""`selfguide store list`, `… why A B`, `… check`: what is kept, why two keys differ, what is damaged."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfguide.config.command import fail
from selfguide.core.escaping import terminal
from selfguide.store.check import KEY, check_store
from selfguide.store.manifest import Damaged, read_manifest


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a nested spec as (dotted key, value)."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value


def differences(left: dict[str, Any], right: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """The fields in which two specs differ: (dotted key, left value, right value)."""
    a, b = dict(flatten(left)), dict(flatten(right))
    absent = "(absent)"
    return [
        (key, a.get(key, absent), b.get(key, absent))
        for key in sorted(a.keys() | b.keys())
        if a.get(key, absent) != b.get(key, absent)
    ]


def _spec(root: Path, name: str) -> dict[str, Any]:
    """The spec of `key`, `stage/key`, or of a run's stage given as `runs/…:stage`."""
    if ":" in name:
        run, _, stage = name.rpartition(":")
        result = Path(run) / "result.json"
        if not result.exists():
            fail(f"{run}: no result.json there")
        keys = _object(result)["keys"]
        if stage not in keys:
            fail(f"{run}: has no stage {stage!r}; it has {', '.join(keys)}")
        name = keys[stage]
    matches = sorted(root.glob(f"*/{name}*/spec.json" if "/" not in name else f"{name}*/spec.json"))
    if len(matches) != 1:
        fail(f"{name}: {len(matches)} stages of {root} fit; give a whole key, or RUN_FOLDER:STAGE")
    return _object(matches[0])


def _object(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        fail(f"{path} is damaged: it is not JSON")
    return content


def _listing(root: Path) -> Iterator[str]:
    """A line for each finished stage."""
    for path in sorted(root.glob("*/*/manifest.json")):
        if not KEY.fullmatch(path.parent.name):
            continue
        try:
            manifest = read_manifest(path.parent)
        except Damaged as damage:
            yield f"{path.parent.parent.name:<12} {path.parent.name}  damaged: {damage}"
            continue
        size = f"{manifest.seconds:>8.1f} s  {len(manifest.files)} files"
        yield f"{manifest.stage:<12} {manifest.key}  {size}"


def _check(root: Path) -> int:
    """Say what is damaged, and the counts; the exit code."""
    if not root.is_dir():
        fail(f"--root: no such folder: {root}")
    counts = Counter[str]()
    for entry in check_store(root):
        counts[entry.state] += 1
        if entry.state == "damaged":
            print(terminal(f"{entry.path}: {entry.damage}"))
    whole = counts["whole"]
    print(
        f"{whole} stage{'' if whole == 1 else 's'} whole, {counts['damaged']} damaged, "
        f"{counts['in progress']} in progress, {counts['set aside']} set aside"
    )
    return 1 if counts["damaged"] else 0


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="selfguide store", description=__doc__)
    root: dict[str, Any] = {"type": Path, "help": "the store (default runs/store)"}
    parser.add_argument("--root", default=Path("runs/store"), **root)
    anywhere = argparse.ArgumentParser(add_help=False)
    anywhere.add_argument("--root", default=argparse.SUPPRESS, **root)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the finished stages", parents=[anywhere])
    commands.add_parser("check", help="read all of it; exit 1 if something is damaged", parents=[anywhere])
    why = commands.add_parser("why", help="which fields make two keys differ", parents=[anywhere])
    why.add_argument("left", help="a key, or RUN_FOLDER:STAGE")
    why.add_argument("right", help="another")
    options = parser.parse_args(arguments)
    if options.command == "list":
        for line in _listing(options.root):
            print(terminal(line))
        return
    if options.command == "check":
        sys.exit(_check(options.root))
    rows = differences(_spec(options.root, options.left), _spec(options.root, options.right))
    for key, left, right in rows:
        print(f"{key}: {left!r} -> {right!r}")
    if not rows:
        print("the same spec")
    sys.exit(0)


if __name__ == "__main__":
    main()
