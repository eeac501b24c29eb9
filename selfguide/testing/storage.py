"""What a sweep's storage must do. Subclass `StorageContract` and give it the fixture `address`: a new, empty one."""

from pathlib import Path

import optuna
import pytest

from selfguide.apps.sweep.storage import open_storage


class StorageContract:
    """Whoever opens the same address, at once or later, sees the same study."""

    @pytest.fixture
    def address(self) -> str:
        """A value of `sweep.storage`."""
        raise NotImplementedError

    def study(self, address: str, folder: Path) -> optuna.Study:
        """The study, opened anew as another process would."""
        storage = open_storage(address, folder, "symlink")
        return optuna.create_study(storage=storage, study_name="contract", direction="maximize", load_if_exists=True)

    def test_it_begins_empty(self, address: str, tmp_path: Path) -> None:
        assert open_storage(address, tmp_path, "symlink").get_all_studies() == []

    def test_what_one_tells_another_sees(self, address: str, tmp_path: Path) -> None:
        one, other = self.study(address, tmp_path), self.study(address, tmp_path)
        trial = one.ask()
        value = trial.suggest_categorical("x", [0.1, 0.2, "ü"])
        trial.set_user_attr("tasks", {"a": [1.0, None]})
        trial.report(0.5, 0)
        one.tell(trial, 0.75)
        for study in (other, self.study(address, tmp_path)):
            [seen] = study.get_trials()
            assert (seen.params, seen.value, seen.intermediate_values) == ({"x": value}, 0.75, {0: 0.5})
            assert seen.user_attrs == {"tasks": {"a": [1.0, None]}}

    def test_no_two_get_the_same_trial(self, address: str, tmp_path: Path) -> None:
        one, other = self.study(address, tmp_path), self.study(address, tmp_path)
        numbers = [study.ask().number for study in (one, other, one, other)]
        assert numbers == [0, 1, 2, 3]

    def test_a_study_may_be_called_for_what_a_file_may_not(self, address: str, tmp_path: Path) -> None:
        storage = open_storage(address, tmp_path, "symlink")
        optuna.create_study(storage=storage, study_name="a/b: ü")
        assert optuna.load_study(storage=open_storage(address, tmp_path, "symlink"), study_name="a/b: ü").trials == []
