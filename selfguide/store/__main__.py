"""`selfguide store`: what is kept and how large it is, why two keys differ, what is damaged, what may go."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from selfguide.config.command import fail
from selfguide.core.escaping import terminal
from selfguide.store.check import KEY, check_store
from selfguide.store.garbage import collect, garbage, pin
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


def _stage(root: Path, name: str) -> Path:
    """The folder of `key`, `stage/key`, or of a run's stage given as `runs/…:stage`."""
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
    return matches[0].parent


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


def _sizes(root: Path) -> Iterator[str]:
    """A line for each kind of stage, the largest first, and the sum. A file that two stages share counts once."""
    seen: set[tuple[int, int]] = set()
    sizes, stages = Counter[str](), Counter[str]()
    for kind in sorted(path for path in root.glob("*") if path.is_dir() and not path.is_symlink()):
        stages[kind.name] = sum(KEY.fullmatch(path.name) is not None for path in kind.iterdir())
        for path in kind.rglob("*"):
            status = path.lstat()
            if path.is_file() and (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                sizes[kind.name] += status.st_size
    for name, size in sizes.most_common():
        yield f"{decimal(size):>10}  {stages[name]:>6} stages  {name}"
    yield f"{decimal(sizes.total()):>10}  {stages.total():>6} stages  in all"


def _collect(root: Path, folders: list[Path] | None, *, delete: bool) -> None:
    for folder in folders or ():
        if not folder.is_dir():
            fail(f"--keep: no such folder: {folder}")
    folders = [Path("runs"), Path("sweeps"), *(folders or ())]
    freed = 0
    for each in (collect if delete else garbage)(root, folders):
        freed += each.bytes
        done = "deleted" if delete else "would delete"
        print(terminal(f"{done}  {decimal(each.bytes):>10}  {each.path}: {each.why}"))
    print(f"{decimal(freed)} freed" if delete else f"{decimal(freed)} can be freed with --delete")


def main(arguments: list[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="selfguide store", description=__doc__)
    root: dict[str, Any] = {"type": Path, "help": "the store (default runs/store)"}
    parser.add_argument("--root", default=Path("runs/store"), **root)
    anywhere = argparse.ArgumentParser(add_help=False)
    anywhere.add_argument("--root", default=argparse.SUPPRESS, **root)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list finished stages", parents=[anywhere])
    commands.add_parser("check", help="read the whole store; exit with 1 if anything is damaged", parents=[anywhere])
    why = commands.add_parser("why", help="show the fields in which two stages differ", parents=[anywhere])
    why.add_argument("left", help="a key, or RUN_FOLDER:STAGE")
    why.add_argument("right", help="another")
    commands.add_parser("du", help="show the size of each kind of stage", parents=[anywhere])
    gc = commands.add_parser("gc", help="list what no run folder uses; --delete deletes it", parents=[anywhere])
    gc.add_argument(
        "--keep", type=Path, action="append", metavar="FOLDER",
        help="also look here for run folders of earlier versions and frozen settings; may be repeated",
    )  # fmt: skip
    gc.add_argument("--delete", action="store_true", help="delete them")
    pinned = commands.add_parser("pin", help="protect a stage from gc", parents=[anywhere])
    pinned.add_argument("stage", help="a key, or RUN_FOLDER:STAGE")
    pinned.add_argument("--remove", action="store_true", help="unpin it")
    options = parser.parse_args(arguments)
    if options.command == "list":
        for line in _listing(options.root):
            print(terminal(line))
        return
    if options.command == "check":
        sys.exit(_check(options.root))
    if options.command == "du":
        for line in _sizes(options.root):
            print(line)
        return
    if options.command == "gc":
        _collect(options.root, options.keep, delete=options.delete)
        return
    if options.command == "pin":
        stage = _stage(options.root, options.stage)
        pin(stage, pinned=not options.remove)
        print(f"{stage.parent.name}/{stage.name} is {'no longer pinned' if options.remove else 'pinned'}")
        return
    specs = [_object(_stage(options.root, name) / "spec.json") for name in (options.left, options.right)]
    rows = differences(*specs)
    for key, left, right in rows:
        print(f"{key}: {left!r} -> {right!r}")
    if not rows:
        print("the same spec")
    sys.exit(0)


if __name__ == "__main__":
    main()
