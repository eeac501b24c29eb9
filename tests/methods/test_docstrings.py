"""Every built-in method says in its module which paper it is from, and what is different here."""

import importlib
import re

import pytest

from selfguide.analysis.description import TITLES
from selfguide.config.builtin import METHODS
from selfguide.core.paths import config_dir

ARXIV = re.compile(r"arXiv (\d{4}\.\d{5})")


def docstring(kind: str) -> str:
    factory = METHODS.entry(kind).factory
    assert isinstance(factory, str)
    return importlib.import_module(factory.partition(":")[0]).__doc__ or ""


@pytest.mark.parametrize("kind", METHODS.builtin)
def test_a_method_names_its_paper_and_what_differs(kind: str) -> None:
    text = " ".join(docstring(kind).split())
    assert ARXIV.search(text)
    assert re.search(r"What differs|Not as published|Here ", text)


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (config_dir() / "method").glob("*.yaml")))
def test_the_paper_of_a_recipe_is_that_of_its_module(recipe: str) -> None:
    """What reports cite is what the module names; a recipe of ours (None) cites nothing."""
    text = (config_dir() / "method" / f"{recipe}.yaml").read_text()
    kind = re.search(r"^kind: (\w+)", text, re.MULTILINE)
    while kind is None:
        [parent] = re.findall(r"^  - (?!_self_)([a-z]\w+)$", text, re.MULTILINE)
        text = (config_dir() / "method" / f"{parent}.yaml").read_text()
        kind = re.search(r"^kind: (\w+)", text, re.MULTILINE)
    cited = TITLES[recipe][1]
    assert cited is None or cited in ARXIV.findall(docstring(kind[1]))
