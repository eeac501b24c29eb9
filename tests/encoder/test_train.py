"""Real trainings of a BERT of a few thousand weights."""

import hashlib
from pathlib import Path

import pytest
import torch

from selfguide.core.errors import ConfigError, TrainingError
from selfguide.core.types import Example
from selfguide.training.encoder.base import encoder_identity
from selfguide.training.encoder.predict import EncoderClassifier
from selfguide.training.encoder.scratch import word_pieces
from selfguide.training.encoder.text import encode
from selfguide.training.encoder.train import EncoderData, EncoderTraining, train_encoder
from tests.encoder.tiny import BAD, LABELS, encoder_config, pairs


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def accuracy(result: EncoderTraining, rows: list[Example]) -> float:
    answers = EncoderClassifier.load(result.folder, LABELS).labels_of([row.input for row in rows])
    return sum(answer == row.output for answer, row in zip(answers, rows, strict=True)) / len(rows)


@pytest.mark.parametrize("path", ["bert", "scratch", "lstm"])
def test_learns_words_that_decide(path: str, bert: Path, tmp_path: Path) -> None:
    config = encoder_config(bert if path == "bert" else path)
    result = train_encoder(config, EncoderData(LABELS, pairs(80)), tmp_path, 0, "cpu")
    assert accuracy(result, pairs(60, seed=1)) > 0.9
    assert result.losses[-1] < result.losses[0]


def test_counts(bert: Path, tmp_path: Path) -> None:
    config = encoder_config(bert, epochs=3, patience=None)
    seen: list[int] = []

    class Progress:
        def resume(self, done: int) -> None: ...

        def advance(self, count: int, **fields: object) -> None:
            seen.append(count)

    result = train_encoder(config, EncoderData(LABELS, pairs(50)), tmp_path, 0, "cpu", Progress())
    assert (result.trained, result.held_out, result.epochs) == (40, 10, 3)
    assert result.steps == len(result.losses) == sum(seen) == 3 * 5
    assert len(result.validation) == 3
    # A word is a token here, and [CLS] and [SEP] are two more.
    kept_words = result.trained_tokens / 3 - 2 * result.trained
    assert 3 * result.trained <= kept_words <= 6 * result.trained
    best = max(result.validation, key=lambda pair: (pair[0], -pair[1]))
    assert result.chosen == result.validation.index(best) + 1


def test_same_seed_same_bytes_and_another_seed_another_start(bert: Path, tmp_path: Path) -> None:
    config = encoder_config(bert, epochs=2)
    first = train_encoder(config, EncoderData(LABELS, pairs(30)), tmp_path / "a", 3, "cpu")
    torch.manual_seed(99)
    before = torch.get_rng_state()
    (tmp_path / "b" / ".encoder.tmp").mkdir(parents=True)  # what a killed training may leave
    second = train_encoder(config, EncoderData(LABELS, pairs(30)), tmp_path / "b", 3, "cpu")
    assert torch.equal(before, torch.get_rng_state())
    assert content(first.folder) == content(second.folder)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["encoder"]
    other = train_encoder(config, EncoderData(LABELS, pairs(30)), tmp_path / "c", 4, "cpu")
    assert first.init == second.init != other.init


def test_every_training_starts_from_the_published_weights(bert: Path, tmp_path: Path) -> None:
    config = encoder_config(bert, epochs=1)
    starts = {
        train_encoder(config, EncoderData(LABELS, pairs(size)), tmp_path / str(size), 0, "cpu").init
        for size in (10, 20, 40)
    }
    assert len(starts) == 1


def test_the_saved_weights_are_those_of_the_chosen_epoch(bert: Path, tmp_path: Path) -> None:
    # Labels that nothing decides: held-out accuracy goes up and down, and training stops early.
    noise = pairs(60, wrong=0.5)
    config = encoder_config(bert, epochs=30, patience=2)
    result = train_encoder(config, EncoderData(LABELS, noise), tmp_path, 1, "cpu")
    assert result.epochs < 30
    assert result.epochs - result.chosen == 2
    shorter = encoder_config(bert, epochs=30, patience=None)
    whole = train_encoder(shorter, EncoderData(LABELS, noise), tmp_path / "whole", 1, "cpu")
    assert whole.validation[: result.epochs] == result.validation
    held_out = [row for row in noise if row.input in _held_out_texts(bert, noise)]
    assert accuracy(result, held_out) == pytest.approx(result.validation[result.chosen - 1][0])


def _held_out_texts(bert: Path, rows: list[Example]) -> set[str]:
    from selfguide.training.encoder.train import _hold_out

    return {pair.input for pair in _hold_out(rows, 0.2, 1)[1]}


def test_no_text_is_both_trained_and_held_out() -> None:
    from selfguide.training.encoder.train import _hold_out

    rows = [Example(f"{text}{' ' * extra}", "good") for text in "abcdefghij" for extra in (0, 1)]
    trained, held = _hold_out(rows, 0.3, 0)
    assert len(held) == 6
    assert not {p.input.strip() for p in trained} & {p.input.strip() for p in held}
    assert trained == [row for row in rows if row in trained]


def test_given_validation_pairs_choose_the_epoch_and_are_not_trained_on(bert: Path, tmp_path: Path) -> None:
    rows = pairs(30)
    result = train_encoder(
        encoder_config(bert, epochs=2), EncoderData(LABELS, rows, validation=rows[:7]), tmp_path, 0, "cpu"
    )
    assert (result.trained, result.held_out) == (23, 7)


@pytest.mark.parametrize(("count", "trained", "held_out"), [(1, 1, 0), (2, 1, 1), (3, 2, 1)])
def test_fewer_pairs_than_a_batch(count: int, trained: int, held_out: int, bert: Path, tmp_path: Path) -> None:
    config = encoder_config(bert, epochs=3, batch_size=32, warmup_fraction=0.9, patience=None)
    result = train_encoder(config, EncoderData(LABELS, pairs(count)), tmp_path, 0, "cpu")
    assert (result.trained, result.held_out, result.steps) == (trained, held_out, 3)


def test_files_are_safetensors_with_the_labels_in_order(bert: Path, tmp_path: Path) -> None:
    labels = ("bad", "good")  # not alphabetical in the other tests
    result = train_encoder(encoder_config(bert, epochs=1), EncoderData(labels, pairs(20)), tmp_path, 0, "cpu")
    names = {path.name for path in result.folder.iterdir()}
    assert "model.safetensors" in names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    assert EncoderClassifier.load(result.folder).labels == labels
    with pytest.raises(TrainingError, match="trained on the labels bad, good, in this order"):
        EncoderClassifier.load(result.folder, LABELS)


@pytest.mark.parametrize(
    ("labels", "rows", "message"),
    [
        (LABELS, [Example("a", "Good")], "'Good' is none of good, bad"),
        (("good",), [Example("a", "good")], "at least two labels"),
        (("good", "good"), [Example("a", "good")], "all different"),
        (LABELS, [], "no pairs"),
    ],
)
def test_mistakes(labels: tuple[str, ...], rows: list[Example], message: str, bert: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=message):
        train_encoder(encoder_config(bert), EncoderData(labels, rows), tmp_path, 0, "cpu")
    assert not (tmp_path / "encoder").exists()


def test_a_loss_that_is_no_number(bert: Path, tmp_path: Path) -> None:
    config = encoder_config(bert, learning_rate=1e30, max_grad_norm=1e30, warmup_fraction=0.0)
    with pytest.raises(TrainingError, match=r"not a number at step \d+; try a smaller"):
        train_encoder(config, EncoderData(LABELS, pairs(40)), tmp_path, 0, "cpu")


def test_paths_that_are_no_encoder(bert: Path, tmp_path: Path) -> None:
    for path in ("micro", "./nowhere"):
        with pytest.raises(ConfigError, match=r"student\.encoder\.path: .*allowed: scratch"):
            train_encoder(encoder_config(path), EncoderData(LABELS, pairs(4)), tmp_path, 0, "cpu")
    with pytest.raises(ConfigError, match=r"student\.encoder\.max_length: 33 is more than the 32 tokens"):
        train_encoder(encoder_config(bert, max_length=33), EncoderData(LABELS, pairs(4)), tmp_path, 0, "cpu")


def test_identity_is_of_the_content(bert: Path, tmp_path: Path) -> None:
    assert encoder_identity(encoder_config(bert)) == encoder_identity(encoder_config(bert, epochs=1))
    assert encoder_identity(encoder_config("scratch")) != encoder_identity(encoder_config("scratch", layers=2))


def test_a_long_context_does_not_push_the_question_out(bert: Path, tmp_path: Path) -> None:
    # The last word of the question decides; the passage before it is far longer than max_length.
    passage = "Passage: " + "the tea was warm and cold " * 10
    rows = [Example(f"{passage}\nQuestion: {p.input}", p.output) for p in pairs(60)]
    config = encoder_config(bert, max_length=24, epochs=15)
    result = train_encoder(config, EncoderData(LABELS, rows, context_until="\nQuestion:"), tmp_path / "a", 0, "cpu")
    assert result.cut == result.trained
    assert accuracy(result, rows) > 0.9
    blind = train_encoder(config, EncoderData(LABELS, rows), tmp_path / "b", 0, "cpu")
    assert accuracy(blind, rows) <= 0.6


def test_pairs_are_two_segments(bert: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bert)
    (row,) = encode(tokenizer, ["the tea\nQ: was cold"], 16, "\nQ:")
    words = tokenizer.convert_ids_to_tokens(list(row.ids))
    assert words[:4] == ["[CLS]", "the", "tea", "[SEP]"]
    assert words[-3:] == ["was", "cold", "[SEP]"]
    assert row.segments == (0,) * 4 + (1,) * (len(words) - 4)
    assert encode(tokenizer, ["no mark"], 16, "\nQ:")[0].segments == (0, 0, 0, 0)


def test_scratch_vocabulary() -> None:
    pieces = word_pieces(["Sour tea, sour day!", "tea"], 64)
    assert pieces[:4] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    assert len(pieces) == len(set(pieces)) <= 64
    assert pieces[-3:] == ["sour", "tea", "day"]
    assert {"s", "##s", ",", "!"} <= set(pieces)
    assert len(word_pieces([" ".join(BAD) * 50, "".join(map(chr, range(200, 600)))], 64)) <= 64
