"""What the presets of other papers take from the model that writes, and from nobody else."""

import pytest

from selfguide.config.loop import LoopConfig
from tests.composing import run_config


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
