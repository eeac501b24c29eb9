"""The tree of seeds."""

from selfguide.core.seeding import SeedStream, child_random, child_seed


def test_a_branch_gives_the_seeds_of_the_full_names() -> None:
    branch = SeedStream(7).child("inputs").child("sample", 3)
    assert branch.seed_of(5) == child_seed(7, "inputs", "sample", 3, 5)
    assert branch.random_of("a").random() == child_random(7, "inputs", "sample", 3, "a").random()
