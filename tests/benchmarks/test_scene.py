import random

import pytest

from benchmarks.micro import forms
from benchmarks.micro.lexicon import VERBS, WORDS, kind_of, plural
from benchmarks.micro.scene import MOODS, TENSES, draw_scene, parse

ALL_FORMS = (*forms.SENTENCES, *forms.RECORDS, *forms.PHRASES, *forms.LISTS, *forms.HELD_OUT)


def test_every_word_has_one_kind() -> None:
    words = [w for ws in WORDS.values() for w in ws] + [v[0] for vs in VERBS.values() for v in vs]
    assert len(words) == len(set(words))
    assert kind_of("hammer") == "tool"


@pytest.mark.parametrize("form", ALL_FORMS)
def test_a_text_is_read_back_as_its_scene(form: str) -> None:
    rng = random.Random(1)
    for _ in range(5):
        scene = draw_scene(rng, form, {})
        again = parse(scene.text(), form, {})
        assert again is not None
        assert again.text() == scene.text()
        assert {s: scene.value(s) for s in scene.fill} == {s: again.value(s) for s in again.fill}


@pytest.mark.parametrize("tense", TENSES)
@pytest.mark.parametrize("mood", MOODS)
def test_tense_and_mood(tense: str, mood: str) -> None:
    scene = draw_scene(random.Random(2), forms.SENTENCES[3], {}, tense, mood)
    assert parse(scene.text(), forms.SENTENCES[3], {}, tense, mood) is not None


def test_other_texts_are_not_read() -> None:
    assert parse("Tom washed the the hat.", forms.SENTENCES[0], {}) is None
    assert parse("", forms.SENTENCES[0], {}) is None


def test_plurals() -> None:
    assert [plural(w) for w in ("puppy", "wolf", "bus", "sheep", "toy", "peach")] == [
        "puppies",
        "wolves",
        "buses",
        "sheep",
        "toys",
        "peaches",
    ]
