"""A nested mapping as a tree on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text
from rich.tree import Tree

from selfguide.core.escaping import terminal


def tree_of(name: str, values: Mapping[str, Any]) -> Tree:
    """Branches for mappings, one line for any other value."""
    tree = Tree(Text(name, style="bold"))
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            tree.add(tree_of(str(key), value))
        else:
            tree.add(Text(terminal(f"{key}: {value}")))
    return tree
