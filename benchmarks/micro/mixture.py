"""What an episode is drawn from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of the families (they need not sum to 1) and what makes episodes harder or easier.

    `write_inputs`: share of the episodes that write inputs. `simple_labels`: share of the
    classification rules whose label names are single pieces of the vocabulary. `single_words`:
    share of those whose classes are single words, to be recognised rather than generalised.
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
