"""What the presets of other papers take from the model that writes, and from nobody else."""

import operator

import pytest

from selfguide.config.loop import LoopConfig
from selfguide.config.methods import kind_of_recipe
from selfguide.core.paths import config_dir
from tests.composing import run_config

RECIPES = sorted(path.stem for path in (config_dir() / "method").glob("*.yaml") if path.stem != "loop")


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_kind_of_a_recipe_is_known_without_composing_it(recipe: str) -> None:
    """Run folders of earlier versions name the recipe alone; its kind may stand in the recipe that it builds on."""
    assert kind_of_recipe(recipe) == run_config(f"method={recipe}").method.kind


PUBLISHED = {
    "s3": {
        "attributes.per_item": 2, "attributes.items": 20, "attributes.draw.temperature": 0.9,
        "diagnose.source": "gold",
    },
    "llm2llm": {
        "initial_data.share": 0.01, "filter.novelty": 0.95, "propose.show_gold": True, "propose.show_wrong": False,
        "propose.per_exemplar": 1, "diagnose.restrict_to": "initial", "loop.rounds": 9,
    },
}  # fmt: skip


@pytest.mark.parametrize("method", PUBLISHED)
def test_what_a_paper_says_is_the_presets(method: str) -> None:
    found = run_config(f"method={method}").method
    assert {key: operator.attrgetter(key)(found) for key in PUBLISHED[method]} == PUBLISHED[method]


@pytest.mark.parametrize("method", ["zerogen", "progen", "s3", "goldgen"])
def test_the_bundled_model_gets_what_it_needs_and_others_what_was_published(method: str) -> None:
    bundled, other = (run_config(f"method={method}", f"model={m}").method for m in ("micro", "vicuna_7b_v1_5"))
    assert isinstance(bundled, LoopConfig) and isinstance(other, LoopConfig)
    assert bundled.propose.show_demonstrations and not other.propose.show_demonstrations
    asked = run_config(f"method={method}", "model=micro", "method.propose.show_demonstrations=false").method
    assert isinstance(asked, LoopConfig) and not asked.propose.show_demonstrations
    if method in ("zerogen", "progen"):
        assert (bundled.propose.open_quote, bundled.filter.min_words) == (False, 2)
        assert (other.propose.open_quote, other.filter.min_words) == (True, 10)
