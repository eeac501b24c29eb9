"""`python -m selfguide.store why A B` and `… list`: what is kept, and why two keys differ."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfguide.config.command import fail


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
        keys = json.loads(result.read_text(encoding="utf-8"))["keys"]
        if stage not in keys:
            fail(f"{run}: has no stage {stage!r}; it has {', '.join(keys)}")
        name = keys[stage]
    matches = sorted(root.glob(f"*/{name}*/spec.json" if "/" not in name else f"{name}*/spec.json"))
    if len(matches) != 1:
        fail(f"{name}: {len(matches)} stages of {root} fit; give a whole key, or RUN_FOLDER:STAGE")
    spec: dict[str, Any] = json.loads(matches[0].read_text(encoding="utf-8"))
    return spec


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m selfguide.store", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("runs/store"), help="the store (default runs/store)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the finished stages")
    why = commands.add_parser("why", help="which fields make two keys differ")
    why.add_argument("left", help="a key, or RUN_FOLDER:STAGE")
    why.add_argument("right", help="another")
    options = parser.parse_args(arguments)
    if options.command == "list":
        for manifest in sorted(options.root.glob("*/*/manifest.json")):
            content = json.loads(manifest.read_text(encoding="utf-8"))
            size = f"{content['seconds']:>8.1f} s  {len(content['files'])} files"
            print(f"{content['stage']:<12} {content['key']}  {size}")
        return
    rows = differences(_spec(options.root, options.left), _spec(options.root, options.right))
    for key, left, right in rows:
        print(f"{key}: {left!r} -> {right!r}")
    if not rows:
        print("the same spec")
    sys.exit(0)


if __name__ == "__main__":
    main()
