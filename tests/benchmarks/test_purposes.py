"""What each purpose of the mixture promises of its episodes."""

import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.micro import purposes
from benchmarks.micro.ambiguous import draw_ambiguous
from benchmarks.micro.chatty import chat, likelihood
from benchmarks.micro.crowded import draw_crowded, draw_plain, list_part, rivals
from benchmarks.micro.mixture import PURPOSES, Mixture
from benchmarks.micro.names import CLASS_NAMES, SLOT_NAMES
from benchmarks.micro.paraphrases import Property, names_for, paraphrases
from benchmarks.micro.parts import Part, label_words, part_of, part_of_classes
from benchmarks.micro.purposes import draw_episode, shown_rule
from benchmarks.micro.rules import ClassRule, RewriteRule, Rule
from benchmarks.micro.stated import Stated
from benchmarks.micro.stated_labels import draw_labelled
from benchmarks.micro.stated_texts import draw_extraction, draw_find, draw_rewriting, without

PARTS: tuple[Part, ...] = ("corpus", "development", "test")
PIECES = ("zu", "kor", "dog", "bel", "lom", "nir", "pos", "tuv", "wax", "yel", "que", "gam", "hin")
MIXTURE = Mixture(stated=0.4, demonstrated=0.2, conditioned=0.2, distracted=0.15, ambiguous=0.05, chatty=1)
KEYS: dict[Property, tuple[str, ...]] = {
    **dict.fromkeys(("kind", "value", "replace", "drop", "front"), tuple(SLOT_NAMES)),
    "find": tuple(CLASS_NAMES),
    "tense": ("past", "present", "future"),
    "mood": ("question", "denial"),
}


def only(purpose: str, **other: float) -> Mixture:
    return Mixture(**{purpose: 1.0, **other})


def stated_rules(part: Part, count: int = 60) -> list[Stated]:
    rng = random.Random(part)
    drawn = [draw(rng, part) for _ in range(count) for draw in (draw_extraction, draw_find, draw_rewriting)]
    return [*drawn, *(draw_labelled(rng, part, PIECES) for _ in range(2 * count))]


def test_episodes_are_a_function_of_the_seed() -> None:
    first, again, other = (
        [draw_episode(random.Random(seed), MIXTURE, PIECES) for seed in seeds] for seeds in ((1, 2), (1, 2), (3, 4))
    )
    assert first == again
    assert first != other


def test_shares_of_the_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Counter[str]()
    for name in PURPOSES:
        real = purposes._BY_PURPOSE[name]
        monkeypatch.setitem(
            purposes._BY_PURPOSE, name, lambda *rest, name=name, real=real: (drawn.update([name]), real(*rest))[1]
        )
    rng = random.Random(0)
    for _ in range(1500):
        draw_episode(rng, MIXTURE, PIECES)
    for name in PURPOSES:
        assert drawn[name] / 1500 == pytest.approx(getattr(MIXTURE, name), abs=0.035)


def test_without_purposes_the_families_are_drawn_as_ever() -> None:
    from benchmarks.micro import episodes

    first = draw_episode(random.Random(5), Mixture(), PIECES)
    assert first == episodes.draw_episode(random.Random(5), Mixture(), PIECES)


def test_a_third_of_the_stated_rules_has_no_demonstration_and_all_first_answers_count() -> None:
    rng = random.Random(1)
    answers = Counter[int]()
    for _ in range(600):
        episode = draw_episode(rng, only("stated"), PIECES)
        outputs = [m.end() + 1 for m in re.finditer(r"\nOutput:", episode.text)]
        weights = [next(s.weight for s in episode.spans if s.start <= at < s.end) for at in outputs]
        assert set(weights) in ({purposes.LABEL}, {purposes.TEXT})
        answers[len(outputs)] += 1
    assert answers[1] / 600 == pytest.approx(0.3, abs=0.06)
    assert set(answers) == {1, 2, 3, 4, 5, 6}


def test_inputs_for_a_label_count_in_full() -> None:
    rng = random.Random(2)
    for _ in range(200):
        episode = draw_episode(rng, only("conditioned"), PIECES)
        last = max(span.end for span in episode.spans)
        assert last == len(episode.text)
        start = episode.text.rindex("\nInput:") if "\nInput:" in episode.text else 0
        assert max(s.weight for s in episode.spans) == 1.0
        assert all(s.weight == 1.0 for s in episode.spans if s.start > start + len("\nInput:") + 1)


def test_what_only_demonstrations_tell_is_not_stated() -> None:
    rng = random.Random(3)
    asked = {draw_episode(rng, only("demonstrated"), PIECES).text.split("\n", 1)[0] for _ in range(400)}
    assert len({text.split(" Labels:")[0] for text in asked}) <= 24


def test_demonstrations_that_fit_two_rules_are_decided_by_the_instruction() -> None:
    rng = random.Random(4)
    for _ in range(300):
        drawn = draw_ambiguous(rng, "corpus", PIECES, 3)
        assert drawn.query.output != drawn.other_output
        assert len(drawn.samples) == 3
        if drawn.labelled:
            assert {drawn.query.output, drawn.other_output} == {s.output for s in drawn.samples}


def test_the_ambiguous_query_alone_counts() -> None:
    rng = random.Random(4)
    for _ in range(50):
        episode = draw_episode(rng, only("ambiguous"), PIECES)
        counted = [span for span in episode.spans if span.weight not in (0.0, purposes.TERSE)]
        assert len(counted) == 1
        assert counted[0].end == len(episode.text)


def test_distractors_are_of_the_same_type() -> None:
    rng = random.Random(5)
    for _ in range(200):
        assert rivals(draw_crowded(rng, "corpus"))


@pytest.mark.parametrize("prop", KEYS)
def test_a_property_has_two_hundred_paraphrases(prop: Property) -> None:
    shown = {text for key in KEYS[prop] for text in paraphrases(prop, key, "corpus")}
    assert len(shown) >= 200
    for key in KEYS[prop]:
        everything = [text for part in PARTS for text in paraphrases(prop, key, part)]
        assert len(everything) == len(set(everything))
        assert all(paraphrases(prop, key, part) for part in PARTS)
        if prop not in ("find", "tense", "mood"):
            assert len(everything) >= 200
    assert all(names_for(prop, key) for key in KEYS[prop])


@pytest.mark.parametrize("part", PARTS)
def test_a_rule_uses_what_its_part_may_use(part: Part) -> None:
    for stated in stated_rules(part):
        for form in stated.rule.forms:
            assert (list_part(form) if "{w1}" in form else part_of("form", form)) == part
        assert any(stated.instruction.startswith(t.split("{")[0]) for t in paraphrases(stated.prop, stated.key, part))
        if isinstance(stated.rule, ClassRule):
            assert part_of_classes(stated.rule.classes) == part


def test_label_words_of_the_halves_are_disjoint_and_never_in_the_corpus() -> None:
    development, test = set(label_words("development")), set(label_words("test"))
    assert development and test and not development & test
    shown = {label for stated in stated_rules("corpus") for label in stated.rule.labels}
    assert not shown & (development | test)


def test_demonstrated_rules_keep_off_the_halves_too() -> None:
    rng = random.Random(6)
    for _ in range(400):
        _, rule = shown_rule(rng, MIXTURE, PIECES)
        assert all(part_of("form", f) == "corpus" for f in getattr(rule, "forms", ()) if "w1" not in f)
        if isinstance(rule, ClassRule):
            assert part_of_classes(rule.classes) == "corpus"


def test_every_stated_rule_gives_what_it_says() -> None:
    """The oracle agrees with the rule on its own samples."""
    rng = random.Random(7)
    for stated in stated_rules("development", 25):
        rule: Rule = stated.rule
        labels: list[str | None] = [label for label in rule.labels for _ in range(2)] or [None] * 3
        for label in labels:
            sample = rule.sample(rng, label)
            assert sample.input and sample.output
            if label is not None:
                assert sample.output == label
        if isinstance(rule, RewriteRule) and stated.prop == "drop":
            assert "{" + stated.key + "}" not in rule.target


def test_a_slot_is_taken_out_with_its_space() -> None:
    assert without("{time}, {subject} {verb} it {place}.", "time") == "{subject} {verb} it {place}."
    assert without("{time} {subject} {verb} it {place}.", "place") == "{time} {subject} {verb} it."
    assert without("the {adj} {object}", "adj") == "the {object}"


def test_chatty_answers_hold_the_answer_and_end_the_episode() -> None:
    rng = random.Random(8)
    assert all("red" in chat(rng, "red") for _ in range(50))
    assert {chat(rng, "color", ["hue"]) for _ in range(200)} >= {"hue", "It is color."}
    open_question = "Could you tell me the color?"
    assert likelihood(open_question, "a cup", 0) > likelihood("Give the color.", "a cup", 0)
    assert likelihood(open_question, "a cup", 3) < likelihood(open_question, "a cup", 0)
    assert likelihood(open_question, "Tom happily saw a cup.", 3) > likelihood(open_question, "Tom saw a cup.", 3)
    shares = []
    for factor in (0.0, 1.0):
        mixture = replace(only("stated"), chatty=factor)
        texts = [draw_episode(random.Random(seed), mixture, PIECES).text for seed in range(300)]
        talk = re.compile(r"\nOutput: (It is|I think|Sure!|The answer is|Do you mean)")
        shares.append(sum(bool(talk.search(text)) for text in texts) / 300)
        for text in texts:
            assert not talk.search(text.rsplit("\nOutput:", 1)[0])
    assert shares[0] == 0.0
    assert 0.1 < shares[1] < 0.7


def test_plain_forms_are_of_their_part() -> None:
    rng = random.Random(9)
    for part in PARTS:
        assert all(part_of("form", draw_plain(rng, part)) == part for _ in range(60))
