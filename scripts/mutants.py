"""How many small faults the tests notice: each mutant is put into a copy of the tree, its nearest tests run there.

    python scripts/mutants.py                        # the list, tests/mutants.jsonl
    python scripts/mutants.py --area training        # of an area, or --id N4 N5
    python scripts/mutants.py --fresh 60 --seed 1    # new ones, drawn from the program's syntax trees
    python scripts/mutants.py --results FILE         # keeps verdicts there, and goes on with what it lacks

A mutant is killed if a test fails, or runs into the time limit, that passes without it. First run the tests that its
line names, then the nearest ones. They run in forks of one process that has imported the libraries, so that a file of
unit tests takes a second or two.
"""

import argparse
import gc
import json
import multiprocessing.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mutants_drawn import drawn

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "mutants.jsonl"
LIBRARIES = "torch transformers transformers.trainer peft scipy.stats optuna hydra pytest hypothesis httpx pandas"
LIMIT_S = 300
TEST_LIMIT_S = 60
# They start engines of minutes, or look at files alone.
FAR = ("benchmarks", "vllm", "browser", "launchers", "packaging", "dependencies")


@dataclass(frozen=True)
class Mutant:
    """`old` occurs once in `file`, and gives way to `new`; `tests` are files that should notice."""

    id: str
    area: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def fits(self) -> bool:
        """Whether its code is still there."""
        path = ROOT / self.file
        return path.exists() and path.read_text(encoding="utf-8").count(self.old) == 1


def listed(path: Path) -> list[Mutant]:
    """The checked-in mutants, or those of another list."""
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [Mutant(**{**row, "tests": tuple(row["tests"])}) for row in rows]


def fresh(count: int, seed: int) -> list[Mutant]:
    """`count` mutants at random lines."""
    return [
        Mutant(f"fresh-{number}", Path(file).parent.name, file, old, new, nearest_tests(file))
        for number, (file, old, new) in enumerate(drawn(ROOT, count, seed))
    ]


def nearest_tests(name: str) -> tuple[str, ...]:
    """The eight test files that are nearest to a module: they import it, have its words, or those of its users."""

    def module_of(path: Path) -> str:
        return str(path.relative_to(ROOT)).removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    def words_of(module: str) -> set[str]:
        return {word for part in module.split(".")[1:] for word in part.split("_")}

    module = module_of(ROOT / name)
    users = [
        module_of(path) for path in (ROOT / "selfguide").rglob("*.py") if f"from {module} import" in path.read_text()
    ]
    around = set[str]().union(*map(words_of, users))
    ranked = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text, words = path.read_text(encoding="utf-8"), {*path.stem.split("_"), path.parent.name}
        score = 6 * text.count(f"from {module} import") + 2 * len(words & words_of(module)) + len(words & around)
        score += sum(f"from {user} import" in text for user in users)
        if score and not any(name in str(path) for name in FAR):
            ranked.append((-score, str(path.relative_to(ROOT))))
    return tuple(path for _, path in sorted(ranked)[:8])


def failing(tests: Sequence[str], *options: str, limit_s: float = LIMIT_S) -> list[str]:
    """What fails of these tests in the current folder, in a fork of this process.

    Raises SystemExit where there are no such tests.
    """
    said, child = Path(".said"), os.fork()
    if child == 0:
        code = 3
        try:
            os.setsid()
            for descriptor in (1, 2):
                os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
            import pytest

            _fork_servers(tests)
            # Its look for exceptions in finalisers collects all garbage, half a second.
            quick = ("-p", "no:cacheprovider", "-p", "no:unraisableexception", f"-otimeout={TEST_LIMIT_S}")
            code = int(pytest.main(["-q", *quick, "-m", "not slow", *options, *tests]))
        finally:
            os._exit(code)  # the copy of the tree is the parent's to remove
    deadline = time.monotonic() + limit_s
    while (status := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status[0] == 0:
        return ["the time limit"]
    if (code := os.waitstatus_to_exitcode(status[1])) in (4, 5):
        raise SystemExit(f"no tests there: {' '.join(tests)}")
    failed = re.findall(r"^(?:FAILED|ERROR) ([^\s\[]+)", said.read_text(errors="replace"), re.MULTILINE)
    return [] if code == 0 else failed or [f"exit code {code}"]


def _fork_servers(tests: Sequence[str]) -> None:
    """The servers that tests fork trainings and commands from are forked themselves: they need not import anything."""
    from tests import cli, forked_server

    def start(_executable: str, arguments: Sequence[Any], _descriptors: object) -> int:
        if (server := os.fork()) == 0:
            try:
                exec(arguments[-1])
            finally:
                os._exit(0)
        return server

    forked_server.use_it()
    if any("tests import cli" in text or "tests.cli" in text for text in _texts(tests)):
        multiprocessing.util.spawnv_passfds = start  # type: ignore[assignment]
        cli._start_server()


def _texts(tests: Sequence[str]) -> Iterator[str]:
    return (Path(test.partition("::")[0]).read_text(encoding="utf-8") for test in tests)


def run(mutants: Sequence[Mutant], results: Path | None) -> dict[str, list[Mutant]]:
    """The survivors of each area. What `results` holds is not run again."""
    rows = map(json.loads, results.read_text(encoding="utf-8").splitlines()) if results and results.exists() else ()
    known = {(row["file"], row["old"], row["new"]): row["killer"] for row in rows}
    killers: dict[Mutant, str | None] = {}
    # No TemporaryDirectory: the processes that tests fork would remove it at their end.
    folder = Path(tempfile.mkdtemp()).resolve()
    try:
        tree = _copied(folder)
        for number, mutant in enumerate(mutants, 1):
            begun, key = time.monotonic(), (mutant.file, mutant.old, mutant.new)
            if key not in known:
                known[key] = _killer(tree / mutant.file, mutant, number)
                if results is not None:
                    row = {"id": mutant.id, **dict(zip(("file", "old", "new"), key, strict=True)), "killer": known[key]}
                    with results.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
            killers[mutant] = known[key]
            _say(mutant, known[key], f"{time.monotonic() - begun:5.1f} s")
        tests = sorted({killer for killer in killers.values() if killer and "::" in killer})
        unsound = set(failing(tests, limit_s=20 * LIMIT_S)) if tests else set()
    finally:
        shutil.rmtree(folder)
    survivors: dict[str, list[Mutant]] = defaultdict(list)
    for mutant, killer in killers.items():
        if killer is None or killer in unsound:
            survivors[mutant.area].append(mutant)
        if killer in unsound:
            _say(mutant, None, f"{killer} fails without it, too")
    return survivors


def _copied(tree: Path) -> Path:
    """A copy of all files that git knows, or would; this process moves there and imports the libraries."""
    copy = f"git ls-files -zco --exclude-standard | xargs -0 cp --parents -t '{tree}'"
    subprocess.run(copy, shell=True, cwd=ROOT, check=True)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false",
                   "HF_HUB_OFFLINE": "1"}  # fmt: skip
    sys.path.insert(0, str(tree))
    for library in LIBRARIES.split():
        import_module(library)
    gc.collect()
    gc.freeze()
    return tree


def _killer(path: Path, mutant: Mutant, number: int) -> str | None:
    """The first test that notices the mutant of this file."""
    original = path.read_text(encoding="utf-8")
    # Python keeps compiled files by second and size: no two versions may share both.
    path.write_text(original.replace(mutant.old, mutant.new), encoding="utf-8")
    os.utime(path, (number, number))
    try:
        # The nearest first: most mutants die there.
        return next((failed[0] for test in _tests(mutant) if (failed := failing([test], "-x"))), None)
    finally:
        path.write_text(original, encoding="utf-8")
        os.utime(path, (10**6 + number, 10**6 + number))


def _tests(mutant: Mutant) -> Iterator[str]:
    yield from mutant.tests
    yield from (test for test in nearest_tests(mutant.file) if test not in mutant.tests)


def _say(mutant: Mutant, killer: str | None, more: str) -> None:
    print(f"{'SURVIVED' if killer is None else 'killed':8} {more}  {mutant.id:8} {mutant.file}  {killer or ''}")
    if killer is None:
        print(f"    - {mutant.old.strip()}\n    + {mutant.new.strip()}")
    sys.stdout.flush()


def main() -> None:
    """Run the mutants that the command line asks for, and print the score by area."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", type=int, metavar="N", help="draw N mutants instead of reading the list")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    parser.add_argument("--area", help="of the list, those of an area")
    parser.add_argument("--id", nargs="+", help="of the list, these")
    parser.add_argument("--results", type=Path, help="a file of verdicts to go on with")
    parser.add_argument("--list", type=Path, default=LIST, help="another list")
    options = parser.parse_args()
    mutants = fresh(options.fresh, options.seed) if options.fresh else listed(options.list)
    mutants = [m for m in mutants if options.area in (None, m.area) and (not options.id or m.id in options.id)]
    stale = [mutant for mutant in mutants if not mutant.fits()]
    for mutant in stale:
        print(f"to be updated in {options.list.name}: {mutant.id} {mutant.file} has no, or many, times {mutant.old!r}")
    mutants = [mutant for mutant in mutants if mutant not in stale]
    survivors = run(mutants, options.results and options.results.absolute())
    print(f"\n{'area':20} killed  of")
    for area in dict.fromkeys(mutant.area for mutant in mutants):
        count = sum(mutant.area == area for mutant in mutants)
        print(f"{area:20} {count - len(survivors[area]):6} {count:3}")
    alive = sum(map(len, survivors.values()))
    print(f"{len(mutants) - alive} of {len(mutants)} killed: {1 - alive / max(len(mutants), 1):.1%}")


if __name__ == "__main__":
    main()
