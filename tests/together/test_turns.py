"""Jobs that take turns: what is asked together, in which order they go on, and how they end."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfguide.together.turns import Restore, Turns, clock, current, pause


class Hearing:
    """Answers each question with its double, and keeps what was asked together."""

    def __init__(self) -> None:
        self.heard: list[list[Any]] = []

    def __call__(self, asked: Sequence[Any]) -> Mapping[int, Any]:
        self.heard.append(list(asked))
        return {place: content * 2 for place, content in enumerate(asked)}


def asking(turns: Turns, *contents: int) -> Callable[[], list[int]]:
    return lambda: [turns.ask(content) for content in contents]


@given(lengths=st.lists(st.integers(0, 6), max_size=8), at_once=st.integers(1, 8))
def test_every_job_gets_its_own_answers_in_its_own_order(lengths: list[int], at_once: int) -> None:
    hearing = Hearing()
    turns = Turns(hearing)
    questions = [[100 * job + place for place in range(length)] for job, length in enumerate(lengths)]
    results = turns.run([asking(turns, *asked) for asked in questions], at_once)
    assert results == [[2 * content for content in asked] for asked in questions]
    assert max(map(len, hearing.heard), default=0) <= at_once
    if at_once >= len(lengths):
        assert hearing.heard == [
            [asked[place] for asked in questions if place < len(asked)] for place in range(max(lengths, default=0))
        ]


def test_a_question_left_open_is_asked_again() -> None:
    heard: list[list[int]] = []

    def lowest(asked: Sequence[int]) -> Mapping[int, int]:
        heard.append(list(asked))
        place = min(range(len(asked)), key=asked.__getitem__)
        return {place: asked[place]}

    turns = Turns(lowest)
    assert turns.run([asking(turns, 5), asking(turns, 1, 2)], 2) == [[5], [1, 2]]
    assert heard == [[5, 1], [5, 2], [5]]


def test_an_answer_that_is_an_error_is_raised_where_it_was_asked() -> None:
    def answer(asked: Sequence[Any]) -> Mapping[int, Any]:
        return {place: ValueError(content) if content == "bad" else content for place, content in enumerate(asked)}

    turns = Turns(answer)

    def careful(content: str) -> str:
        try:
            return str(turns.ask(content))
        except ValueError as error:
            return f"caught {error}"

    assert turns.run([lambda: careful("good"), lambda: careful("bad")], 2) == ["good", "caught bad"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_that_leaves_a_job_ends_all_and_all_clean_up(error: type[BaseException]) -> None:
    turns, cleaned = Turns(Hearing()), []

    def waits(name: str) -> None:
        try:
            for content in range(5):
                turns.ask(content)
        finally:
            cleaned.append(name)

    def fails() -> None:
        turns.ask(1)
        raise error

    with pytest.raises(error):
        turns.run([lambda: waits("a"), fails, lambda: waits("b")], 3)
    assert sorted(cleaned) == ["a", "b"]


def test_an_interrupt_while_answering_ends_all() -> None:
    def interrupted(asked: Sequence[Any]) -> Mapping[int, Any]:
        raise KeyboardInterrupt

    turns, cleaned = Turns(interrupted), []

    def waits() -> None:
        try:
            turns.ask(1)
        finally:
            cleaned.append(1)

    with pytest.raises(KeyboardInterrupt):
        turns.run([waits, waits], 2)
    assert cleaned == [1, 1]


def test_each_job_finds_around_it_what_it_left() -> None:
    around = {"folder": "start"}

    def capture() -> Restore:
        seen = dict(around)
        return lambda: around.update(seen)

    turns = Turns(Hearing(), capture)

    def job(name: str) -> list[str]:
        found = [around["folder"]]
        around["folder"] = name
        for content in range(3):
            turns.ask(content)
            found.append(around["folder"])
        return found

    assert turns.run([lambda: job("a"), lambda: job("b")], 2) == [["start", "a", "a", "a"], ["start", "b", "b", "b"]]


def test_one_that_waits_for_another_lets_it_go_on() -> None:
    turns = Turns(Hearing())
    done: list[str] = []

    def first() -> None:
        turns.ask(1)
        done.append("first")

    def second() -> None:
        while not done:
            pause()
        done.append("second")

    turns.run([second, first], 2)
    assert done == ["first", "second"]


def test_seconds_of_others_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("selfguide.together.turns.time.monotonic", lambda: now[0])

    def answer(asked: Sequence[Any]) -> Mapping[int, Any]:
        now[0] += 12.0
        return {place: None for place, _ in enumerate(asked)}

    turns = Turns(answer)

    def job(own_s: float, size: int) -> float:
        start = clock()
        now[0] += own_s
        turns.ask(None, size)
        return clock() - start

    # 12 seconds of the answer, shared by size; and each one's own.
    assert turns.run([lambda: job(5.0, 1), lambda: job(1.0, 3)], 2) == [5.0 + 3.0, 1.0 + 9.0]
    assert current() is None
