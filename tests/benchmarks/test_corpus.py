import random

import numpy as np
import pytest
from tokenizers import Tokenizer

from benchmarks.micro.corpus import encode_episode, make_batch
from benchmarks.micro.episodes import FAMILIES, Mixture, answer_episode, draw_episode, draw_samples, input_episode
from benchmarks.micro.tokenizer import FIELDS, label_pieces, train_tokenizer
from selfguide.core.types import Example
from selfguide.prompts.selfguide import AnswerPrompt, InputPrompt, plain_completion


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(seed=0, vocabulary=2560, episodes=1000)


def test_batches_are_a_function_of_seed_and_index(tokenizer: Tokenizer) -> None:
    pieces = label_pieces(tokenizer)
    first = make_batch(tokenizer, 1, 5, 1024, Mixture(), pieces)
    again = make_batch(tokenizer, 1, 5, 1024, Mixture(), pieces)
    other = make_batch(tokenizer, 1, 6, 1024, Mixture(), pieces)
    assert (first.ids == again.ids).all()
    assert (first.weights == again.weights).all()
    assert first.ids.shape != other.ids.shape or (first.ids != other.ids).any()


def test_positions_and_episodes(tokenizer: Tokenizer) -> None:
    batch = make_batch(tokenizer, 1, 0, 1024, Mixture(), ())
    starts = batch.ids == tokenizer.token_to_id("<s>")
    assert (batch.positions[starts] == 0).all()
    assert (np.diff(batch.episodes, axis=1) >= 0).all()


def test_an_answer_episode_is_the_prompt_in_use() -> None:
    rng = random.Random(0)
    samples = draw_samples(rng, FAMILIES["word"](rng, (), Mixture()), 5)
    episode = answer_episode(rng, "Do it.", samples, classification=True)
    shots = tuple(Example(s.input, s.output) for s in samples)
    assert episode.text == AnswerPrompt("Do it.", shots[:-1], shots[-1].input).plain() + plain_completion(
        shots[-1].output
    )


def test_an_input_episode_is_the_prompt_in_use() -> None:
    rng = random.Random(0)
    rule = FAMILIES["word"](rng, (), Mixture())
    samples = draw_samples(rng, rule, 5)
    episode = input_episode(random.Random(1), rule, "Do it.", samples)
    shots = tuple(Example(s.input, s.output) for s in samples)
    prompt = InputPrompt("Do it.", shots[:-1], (), shots[-1].output, True).plain()
    assert episode.text.split("New inputs:\n\n")[0] == prompt.split("New inputs:\n\n")[0]
    assert episode.text.endswith(f"Output: {shots[-1].output}\nInput: {shots[-1].input}")


def test_only_what_a_model_can_know_counts(tokenizer: Tokenizer) -> None:
    rng = random.Random(4)
    for _ in range(50):
        episode = draw_episode(rng, Mixture(), ())
        for span in episode.spans:
            assert 0 <= span.start < span.end <= len(episode.text)
        ids, weights = encode_episode(tokenizer, episode, 0, 1)
        assert len(ids) == len(weights)
        assert (ids[0], ids[-1]) == (0, 1)


def test_any_text_survives_the_tokenizer(tokenizer: Tokenizer) -> None:
    for text in ("naïve café 東京 🙂\x00\x7f", "  two  spaces\n\n\n", "".join(chr(i) for i in range(32, 500))):
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


def test_fields_are_single_tokens(tokenizer: Tokenizer) -> None:
    prompt = InputPrompt("Sort.", (Example("a b", "c"),), ("d",), "c", True).plain()
    tokens = tokenizer.encode(prompt).tokens
    assert tokens[0] == "<s>"
    assert [t for t in tokens if t in FIELDS] == [
        "Task:",
        "\n\nNew inputs:",
        "\n\nDraft:",
        "\n\nOutput:",
        "\nInput:",
        "\n\nOutput:",
        "\nInput:",
    ]
