"""A metric: a prediction and one accepted reference to a score from 0 to 1; the best over the references counts."""


def first_word(prediction: str, reference: str) -> float:
    """1 if both begin with the same word."""
    return float(prediction.split()[:1] == reference.split()[:1])
