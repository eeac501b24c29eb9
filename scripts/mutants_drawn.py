"""New mutants, drawn from the program's syntax trees."""

import ast
import random
import re
from collections.abc import Iterator
from pathlib import Path

HOW = ("encoding", "errors", "strict", "ensure_ascii", "exist_ok", "parents", "deepcopy", "timeout")
# Where a mutant changes what a run computes; pages, charts, commands' output and the plan's guesses are left out.
MUTATED = ("core", "config", "prompts", "tasks", "store", "models", "synthesis", "training", "evaluation", "search",
           "methods", "apps/sweep", "analysis/figures.py", "analysis/compare.py", "pipeline.py")  # fmt: skip
OPERATORS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Add: ast.Sub, ast.Sub: ast.Add,
    ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def drawn(root: Path, count: int, seed: int) -> Iterator[tuple[str, str, str]]:
    """(file, old, new) of `count` mutants at random lines, in turn over the files."""
    files = [path for name in MUTATED for path in sorted(_python(root / "selfguide" / name))]
    stream = random.Random(seed)
    stream.shuffle(files)
    for path in files * 3:
        options = list(_changes(path.read_text(encoding="utf-8")))
        if options and count:
            count -= 1
            yield (str(path.relative_to(root)), *stream.choice(options))


def _python(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("*.py"))


def _changes(text: str) -> Iterator[tuple[str, str]]:
    """(old lines, new lines) of every change; the lines are long enough to occur once."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    raw = text.encode()
    for function in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)):
        for node in (inner for statement in function.body for inner in _decisive(statement)):
            for replaced, by in _mutations(node):
                low = starts[replaced.lineno - 1] + replaced.col_offset
                high = starts[replaced.end_lineno - 1] + replaced.end_col_offset  # type: ignore[operator, attr-defined]
                first, last = replaced.lineno - 1, replaced.end_lineno
                while text.count("".join(lines[first:last])) > 1 and first > 0:
                    first -= 1
                begin, end = starts[first], starts[last]  # type: ignore[index]
                yield raw[begin:end].decode(), (raw[begin:low] + by.encode() + raw[high:end]).decode()


def _decisive(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below but for messages, assertions, pauses and arguments that say how, not what."""
    silent = isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr) or getattr(node, "arg", None) in HOW
    if silent or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("sleep", "say", "warn", "warning"))):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _decisive(child)


def _mutations(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """The expressions that change, each with its new source: swaps, one off, a dropped argument, another branch."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in OPERATORS:
        yield node, ast.unparse(ast.Compare(node.left, [OPERATORS[type(node.ops[0])]()], node.comparators))
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS and not re.search("['\"]", ast.unparse(node)):
        yield node, f"({ast.unparse(ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right))})"
    elif isinstance(node, ast.BoolOp):
        yield node, f"({ast.unparse(ast.BoolOp(OPERATORS[type(node.op)](), node.values))})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node, ast.unparse(node.operand)
    elif isinstance(node, ast.IfExp):
        yield node, f"({ast.unparse(node.orelse)})"
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield node, str(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield node, str(node.value + 1)
    elif isinstance(node, ast.Call):
        for argument in (keyword for keyword in node.keywords if keyword.arg not in HOW):
            yield node, ast.unparse(ast.Call(node.func, node.args, [k for k in node.keywords if k is not argument]))
    elif isinstance(node, ast.comprehension):
        yield from ((condition, "True") for condition in node.ifs)
