"""What every filter must do. Subclass `FilterContract` and give it the name it is registered under."""

import pytest

from selfguide.config.builtin import FILTERS
from selfguide.config.schema import FiltersConfig
from selfguide.core.types import Example, TaskSpec
from selfguide.synthesis.filters import Filter
from selfguide.testing.method import run_config

TASKS = (
    TaskSpec("shade", "classification", "Dark or light?", (Example("A black hat.", "dark"),), ("dark", "light")),
    TaskSpec("colour", "generation", "Name the colour.", (Example("A red car.", "red"), Example("No hat.", "none"))),
)
TEXTS = ("", " ", "A blue door.", "Hello, how can I help you?", "不", "12", "word " * 400, 'He said "no".\n\nInput: x')


class FilterContract:
    """Pure: the same text gets the same answer, whatever was asked before."""

    name: str

    @pytest.fixture
    def config(self) -> FiltersConfig:
        """The `filters` node; override it for a filter that has settings there."""
        return run_config().filters

    def filters(self, config: FiltersConfig) -> list[Filter]:
        """One for each task and side; fresh ones each time."""
        make = FILTERS.load(self.name)
        made = [make(task, config, side) for task in TASKS for side in ("input", "output")]
        return [check for check in made if check is not None]

    def test_its_name_is_listed(self) -> None:
        assert self.name in FILTERS.names()

    def test_it_judges_inputs_or_outputs(self, config: FiltersConfig) -> None:
        assert self.filters(config)

    def test_it_gives_a_reason_or_none(self, config: FiltersConfig) -> None:
        for check in self.filters(config):
            for text in TEXTS:
                reason = check(text)
                assert reason is None or (isinstance(reason, str) and reason), (text, reason)

    def test_it_remembers_nothing(self, config: FiltersConfig) -> None:
        for check, fresh in zip(self.filters(config), self.filters(config), strict=True):
            forwards = [check(text) for text in TEXTS]
            assert [fresh(text) for text in TEXTS[::-1]][::-1] == forwards
            assert [check(text) for text in TEXTS] == forwards
