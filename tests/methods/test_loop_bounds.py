"""`loop.calls` and `loop.tokens` hold for proposals and votes together; what they do not pay for is dropped by name."""

from pathlib import Path

import pytest

from tests.methods.running import Ran, scripted
from tests.methods.test_loop import SMALL, unsure

BEST_OF = 4  # synthesis=smoke
ITEM = 1 + BEST_OF


def spent(ran: Ran, kind: str = "calls") -> int:
    """What proposals and votes took."""
    stages = ran.result["tokens"].items()
    return sum(tokens[kind] for name, tokens in stages if name.startswith(("proposals", "outputs", "inputs")))


def answered(ran: Ran) -> list[dict[str, object]]:
    return [row for row in ran.rows("candidates") if row["samples"]]


@pytest.mark.parametrize("calls", [10, 23, 1000])
def test_calls_pay_for_proposals_and_their_votes(calls: int, tmp_path: Path) -> None:
    more = (*SMALL, "method.annotate.source=vote", f"method.loop.calls={calls}")
    ran = scripted(tmp_path, unsure, "method=zerogen", *more)
    items = min(12, calls // ITEM)
    assert spent(ran) == items * ITEM <= calls
    assert len(answered(ran)) == len(ran.rows("candidates")) == items, "no proposal is left without its votes"
    assert ran.result["diagnostics"]["stopped"] == ("rounds" if items == 12 else "calls")


def test_a_dropped_proposal_leaves_its_votes_to_another(tmp_path: Path) -> None:
    def repeating(prompt: str, seed: int, sample: int) -> str:
        return unsure(prompt, seed if prompt.endswith("Output:") else seed % 3, sample)

    more = (*SMALL, "method.annotate.source=vote", "method.propose.batch=1", "method.loop.calls=17")
    ran = scripted(tmp_path, repeating, "method=zerogen", *more)
    made = ran.rows("candidates")
    kept = [row for row in made if row["dropped"] is None]
    assert len(made) > len(kept) == len(answered(ran)) > 1
    assert 17 - ITEM < spent(ran) == len(made) + len(kept) * BEST_OF <= 17


def test_inputs_beyond_the_calls_are_dropped_by_name(tmp_path: Path) -> None:
    """SELF-GUIDE's own data as the seed: its proposals count, and the votes get what they left."""
    free = scripted(tmp_path, unsure, "method=selfguide_extrapolate", "method.compose.balance='off'", name="free")
    inputs = free.result["tokens"]["inputs"]["calls"]
    calls = inputs + 3 * BEST_OF + 1
    more = ("method.compose.balance='off'", f"method.loop.calls={calls}")
    ran = scripted(tmp_path, unsure, "method=selfguide_extrapolate", *more, name="bounded")
    assert spent(ran) == calls - 1
    first = [row for row in ran.rows("candidates") if row["round"] == 0]
    beyond = [row for row in first if row["dropped"] == "budget"]
    accepted = [row for row in free.rows("candidates") if row["round"] == 0 and row["samples"]]
    assert len(beyond) == ran.rounds[0]["drops"]["budget"] == len(accepted) - 3 > 0
    assert not any(row["samples"] or row["output"] for row in beyond)
    assert ran.rounds[0]["rows"] > 0


def test_no_batch_of_votes_begins_once_the_tokens_are_spent(tmp_path: Path) -> None:
    more = (*SMALL, "method.annotate.source=vote", "annotation.batch=2")
    free = scripted(tmp_path, unsure, "method=zerogen", *more, name="free")
    proposals = free.result["tokens"]["proposals_0"]["generated"]
    tokens = proposals + 50  # an answer has 4 or 5 tokens: 32 to 40 for a batch of two
    ran = scripted(tmp_path, unsure, "method=zerogen", *more, f"method.loop.tokens={tokens}", name="bounded")
    assert ran.result["diagnostics"]["stopped"] == "tokens"
    assert len(answered(ran)) == 4, "the second batch began below the bound"
    assert tokens <= spent(ran, "generated") < tokens + 40
    assert ran.rounds[0]["drops"] == {"budget": len(free.rows("candidates")) - 4}
