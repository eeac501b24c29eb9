"""Contracts that implementations of others are tested by: pytest classes to subclass, and a scripted engine.

    from selfguide.testing.filter import FilterContract

    class TestNoDigits(FilterContract):
        name = "no_digits"

Needs selfguide[testing]; nothing else of selfguide imports this package.
"""

import sys

if "pytest" in sys.modules:  # the contracts' assertions show their values, too
    sys.modules["pytest"].register_assert_rewrite("selfguide.testing.engine", "selfguide.testing.filter")
    sys.modules["pytest"].register_assert_rewrite("selfguide.testing.method", "selfguide.testing.storage")
