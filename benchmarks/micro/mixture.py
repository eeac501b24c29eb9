"""What an episode is drawn from."""

from dataclasses import dataclass

PURPOSES = ("stated", "demonstrated", "conditioned", "distracted", "ambiguous")


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of the families (they need not sum to 1) and what makes episodes harder or easier.

    `write_inputs`: share of the episodes that write inputs. `simple_labels`: share of the
    classification rules whose label names are single pieces of the vocabulary. `single_words`:
    share of those whose classes are single words, to be recognised rather than generalised.

    Shares of the purposes: rules that the instruction states; rules that only the demonstrations
    tell (those of the families above); inputs to be written for a label; extraction and rewriting beside
    words of the same type; demonstrations that fit two rules. All 0: the families alone, as the
    bundled model was trained. `chatty`: factor on how likely answers are chatty. `zero_shot`: share
    of the episodes with a stated rule that have no demonstration.
    """

    recall: float = 0.3
    word: float = 1.0
    lists: float = 1.0
    short: float = 1.5
    sentence: float = 2.0
    template: float = 1.5
    find: float = 1.0
    rewrite: float = 1.0
    word_change: float = 0.3
    write_inputs: float = 0.35
    simple_labels: float = 0.6
    single_words: float = 0.1
    stated: float = 0.0
    demonstrated: float = 0.0
    conditioned: float = 0.0
    distracted: float = 0.0
    ambiguous: float = 0.0
    chatty: float = 0.0
    zero_shot: float = 0.3

    @property
    def by_purpose(self) -> bool:
        """Whether episodes are drawn by purpose."""
        return any(getattr(self, purpose) for purpose in PURPOSES)
