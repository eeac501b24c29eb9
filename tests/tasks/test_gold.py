import pytest

from selfguide.core.errors import DataError
from selfguide.core.types import Example, Instance
from selfguide.tasks.gold import GoldData, Opening
from selfguide.tasks.identity import Identity, entry_of
from selfguide.tasks.overlap import Overlap
from selfguide.tasks.raw import RawTask


def row(name: str, text: str) -> Instance:
    return Instance(name, text, ("yes",))


def gold() -> GoldData:
    return GoldData(
        "t",
        {
            "validation": (row("v", "Shown   once\n"),),
            "test": (row("a", "one two three"), row("b", "shown once"), row("c", "Shown once")),
        },
        [Example("Shown once", "yes")],
    )


def test_demonstrations_are_dropped_and_counted() -> None:
    data = gold()
    assert [instance.id for instance in data.open("test")] == ["a", "b"]
    assert (data.counts("test").published, data.counts("test").dropped, data.count("test")) == (3, 1, 2)
    assert (data.counts("validation").kept, data.counts("validation").dropped) == (0, 1)


def test_openings_are_observable() -> None:
    data, told = gold(), []
    data.on_open(told.append)
    assert data.openings == []
    data.hash("test"), data.count("test"), data.overlaps("test", ["x"])
    assert data.openings == []
    data.open("test")
    data.open("test", purpose="lint")
    assert data.openings == told == [Opening("t", "test", "evaluation", 2), Opening("t", "test", "lint", 2)]


def test_an_empty_split_is_one_clear_line() -> None:
    with pytest.raises(DataError, match=r"^t: the validation split has no instances \(test has 2\)"):
        gold().open("validation")


def test_hash_is_of_content_and_order() -> None:
    rows = (row("a", "x"), row("b", "y"))
    assert GoldData("t", {"test": rows}).hash("test") == GoldData("other", {"test": rows}).hash("test")
    assert GoldData("t", {"test": rows}).hash("test") != GoldData("t", {"test": rows[::-1]}).hash("test")
    assert GoldData("t", {"test": rows}).hash("validation") != GoldData("t", {"test": rows}).hash("test")


def test_hash_is_of_all_that_is_scored() -> None:
    rows = (Instance("a", "x", ("yes", "no")), row("b", "y"))
    others = [Instance("c", "x", ("yes", "no")), Instance("a", "z", ("yes", "no")), Instance("a", "x", ("yes",))]
    others += [Instance("a", "x", ("no", "yes")), Instance("a", "x", ("yes", "nO"))]
    hashes = {GoldData("t", {"test": (first, rows[1])}).hash("test") for first in (rows[0], *others)}
    assert len(hashes) == 1 + len(others), "an answer that was corrected is another gold"
    tasks = [RawTask("t", "?", (), (first, rows[1]), "t.json") for first in (rows[0], *others)]
    assert len({entry_of(task)["content"] for task in tasks}) == len(others), "names of instances are no content"


def test_overlaps() -> None:
    long = "the quick brown fox jumps over the lazy dog again"
    data = GoldData("t", {"test": (row("a", long), row("b", "Short input."))})
    texts = ["short INPUT", "He said: quick brown fox, jumps over the lazy dog!", "brown fox jumps", "", "..."]
    assert data.overlaps("test", texts) == [
        Overlap(0, "exact", "short input"),
        Overlap(1, "ngram", "quick brown fox jumps over the lazy dog"),
    ]
    assert data.overlaps("validation", texts) == []
    other = GoldData("t", {"test": (row("c", "Die Straße"),)})
    assert [found.kind for found in other.overlaps("test", ["DIE STRASSE"])] == ["exact"], "case does not count"
    assert [found.index for found in data.overlaps("test", texts, ngram=3)] == [0, 1, 2]


def test_the_pool_holds_nothing_that_is_scored_or_in_the_test_split() -> None:
    validation = (row("v1", "in both"), row("v2", "scored"), Instance("v3", "left", ("a", "b")), row("v4", "Scored"))
    data = GoldData("t", {"validation": validation, "test": (row("t1", "in  both\n"), row("t2", "other"))})
    assert [one.id for one in data.pool([row("x", " scored")])] == ["v3", "v4"]
    assert Instance("v3", "left", ("a", "b")) in data.pool(()), "all accepted answers"
    assert all(opening.split == "validation" for opening in data.openings)
    with pytest.raises(DataError, match="all of them are evaluated or test instances"):
        GoldData("t", {"validation": validation[:1], "test": (row("t1", "in both"),)}).pool(())


def test_test_instances_of_another_split_are_counted() -> None:
    one, other, third = row("a", "x"), row("b", "y"), row("c", "z")
    data = GoldData("t", {"validation": (one, other), "test": (third,)}, identity=Identity(test_inputs=frozenset("yz")))
    data.open("validation")
    assert data.openings == [Opening("t", "validation", "evaluation", 1)]
