"""The command line: one clear line for every mistake, in under a second, and exit codes."""

import os
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from selfguide.config.command import interrupted
from selfguide.config.schema import RunConfig
from selfguide.core.paths import config_dir
from tests import cli
from tests.composing import composed, run_config

ROOT = Path(__file__).resolve().parents[1]


def command(*arguments: str, cwd: Path, module: str = "selfguide.main") -> subprocess.CompletedProcess[str]:
    return cli.run(module, *arguments, cwd=cwd)


def seconds_of(*arguments: str, cwd: Path) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Processor seconds of the command in a fresh interpreter, the best of up to three; 0 where others keep the
    machine so busy that they say little."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "selfguide.main", *arguments],
            cwd=cwd, capture_output=True, text=True, timeout=400, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if seconds[-1] < 1:
            break
    return 0.0 if os.getloadavg()[0] > (os.cpu_count() or 1) else min(seconds), done


MISTAKES = {
    "seed=abc": "seed: 'abc' is not allowed; allowed: a whole number",
    "temperature.input=abc": "temperature.input: 'abc' is not allowed; allowed: a number",
    "+task=sst2": "task: an option is chosen already; write task=",
    "temperature.input=3": "temperature.input: 3.0 is not allowed; allowed: >= 0 and <= 2",
    "temperature.imput=1": "temperature.imput: there is no such key; did you mean temperature.input?",
    "+temperature.x=1": "temperature.x: there is no such key; allowed: input, output",
    "finetuning=lorra": "finetuning: there is no option 'lorra'; did you mean: lora",
    "evaluation.split=tst": "evaluation.split: 'tst' is not allowed; allowed: validation | test (did you mean test?)",
    "finetuning.rank=0": "finetuning.rank: 0 is not allowed; allowed: >= 1",
    "finetuning.epochs=9": "finetuning.epochs: 9 is not allowed; allowed: at most finetuning.max_epochs=8",
    "teacher=local teacher.model.path=m annotation.annotator=few_shot_finetuned": (
        "annotation.annotator: few_shot_finetuned is not allowed; allowed: base, as teacher.kind=other"
    ),
    "annotation.best_of=1": "annotation.best_of: 1 is not allowed; allowed: at least annotation.samples=10",
    "temperature.output=0": "temperature.output: 0.0 is not allowed with annotation.samples=10",
    "task.labels=[true,false]": "task.labels[0]: True is not a text: YAML reads an unquoted yes, true or on",
    "data.split=ids": "data.split_path: has no value; allowed: a folder, as data.split=ids reads it",
    "method.kind=magic": "method.kind: 'magic' is not allowed; allowed: selfguide",
    "method.name=few_shot_icl": "method.name: few_shot_icl is another method's; allowed: another name",
    "method.name=a/b": "method.name: 'a/b' is not allowed; allowed: letters, digits, _, . and -",
    "annotation.asked_label_votes=3": "annotation.asked_label_votes: was renamed; use annotation.conditioning_label_w",
    "method=llm2llm method.seed.least=3": "method.seed.least: was renamed; use method.initial_data.min_items",
    "hydra/launcher=together": "there is no together any more; serve the model with `vllm serve` and use engine=openai",
    "task=190": "task: 190 is not allowed; allowed: the name of an option, task=NAME",
    "method=null": "method: null is not allowed; allowed: the name of an option",
    "task=190,task1562 -m": "task: 190 is not allowed",
    "hydra/launcher=1.5": "hydra/launcher: 1.5 is not allowed",
    "hydra.sweeper=3 -m": "the configuration cannot be composed",
    "~seed": "seed: was deleted; allowed: a value, leave ~seed out",
    "~filters": "filters: was deleted",
    "filters.length_sigmas=inf": "filters.length_sigmas: inf is not allowed; allowed: a finite number > 0",
    "filters.length_sigmas=nan": "filters.length_sigmas: nan is not allowed; allowed: a finite number > 0",
    "store.root='~nouser/x'": "store.root: ~nouser/x: there is no home folder of that user; allowed: a whole path",
    "data.root='~nouser/x'": "data.root: ~nouser/x: there is no home folder of that user",
    "frozen_config='~nouser/x'": "frozen_config: ~nouser/x: there is no home folder of that user",
    "task=json task.path='~nouser/x'": "task.path: ~nouser/x: there is no home folder of that user",
    "a=b=[": "a=b=[: mismatched input '=' expecting <EOF>; quote what has spaces or =,[]{}",
}


@pytest.mark.parametrize("override", sorted(MISTAKES))
def test_a_mistake_is_one_line_before_anything_heavy_is_loaded(override: str, tmp_path: Path) -> None:
    arguments = ("selfguide.main", "task=task1562", *override.split())
    done = cli.run(*arguments, cwd=tmp_path, before=cli.nothing_heavy)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1, done.stderr
    assert MISTAKES[override] in done.stderr


def test_a_sound_command_loads_what_is_heavy(tmp_path: Path) -> None:
    """Or the test above would say nothing."""
    done = cli.run("selfguide.main", "task=micro_color_word", cwd=tmp_path, before=cli.nothing_heavy)
    assert done.returncode == 1 and "ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("override", ["seed=abc", "finetuning=lorra", "temperature.output=0", "task=190,task1562 -m"])
def test_a_mistake_is_one_line_in_under_a_second(override: str, tmp_path: Path) -> None:
    used, done = seconds_of("task=task1562", *override.split(), cwd=tmp_path)
    assert done.returncode == 2 and MISTAKES[override] in done.stderr
    assert used < 1


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_a_task_file_that_is_no_regular_file_is_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    {"fifo": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](path)
    (tmp_path / "task1562_x.json").symlink_to(path)
    for arguments in (["task=json", f"task.path={path}"], ["task=task1562", f"data.root={tmp_path}"]):
        done = command(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("blocks", [1, pytest.param(16, marks=pytest.mark.slow), 256])
def test_a_full_disk_is_one_line(blocks: int, tmp_path: Path) -> None:
    """Wherever it is met: in our files, the libraries' or a copy; a limit on the size of files acts as a full disk."""
    few = "task=micro_color_word generation.target=4 finetuning.epochs=1 evaluation.limit=2 annotation.samples=2"
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (1024 * blocks, 1024 * blocks))
    done = cli.run("selfguide.main", *few.split(), "annotation.best_of=2", cwd=tmp_path, before=limit)
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "choose another folder" in errors[0], done.stderr
    assert "Traceback" not in done.stderr


def test_an_unquoted_yes_in_a_task_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "mine.yaml").write_text("name: mine\nsource: json\npath: x.json\nlabels: [yes, no]\n")
    done = command("--config-dir", str(tmp_path), "task=mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "task.labels[0]: True is not a text" in done.stderr
    assert "labels: ['yes', 'no']" in done.stderr


def test_missing_files_are_one_line(tmp_path: Path) -> None:
    for arguments, said in [
        (["task=json", "task.path=nowhere.json"], "no file nowhere.json"),
        (["task=task1562", f"data.root={tmp_path}"], "task1562"),
        (["task=task1562", "model=local", "model.path=./nowhere", f"data.root={tmp_path}"], "task1562"),
    ]:
        done = command(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.parametrize("place", ["store.root", "hydra.run.dir"])
def test_a_place_that_cannot_be_written_is_one_line(place: str, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    few = ("task=micro_color_word", "method=few_shot_icl", "evaluation.limit=2")
    done = command(*few, f"{place}={tmp_path}/taken/below", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {tmp_path}/taken") and len(done.stderr.splitlines()) == 1, done.stderr


def test_help_lists_groups_and_examples(tmp_path: Path) -> None:
    used, done = seconds_of("--help", cwd=tmp_path)
    assert done.returncode == 0
    for group in ("task:", "model:", "engine:", "temperature:", "finetuning:", "synthesis:", "protocol:", "method:"):
        assert f"\n{group}" in done.stdout
    assert done.stdout.count("  selfguide run") == 3
    assert "schema" not in done.stdout
    assert used < 1
    assert not list(tmp_path.iterdir())


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (config_dir() / group).glob("*.yaml"))


GROUPS = [
    "task", "model", "engine", "temperature", "synthesis", "finetuning", "evaluation", "method", "data", "store",
    "protocol",
]  # fmt: skip
NEEDS = {
    "sni": ["task.id=task1344"],
    "json": ["task.path=x.json"],
    "hub": ["task.hub.path=x"],
    "local": ["model.path=/models/x"],
}


@pytest.mark.parametrize(("group", "option"), [(group, option) for group in GROUPS for option in options(group)])
def test_every_option_composes_and_is_valid(group: str, option: str) -> None:
    task = [] if group == "task" else ["task=task1562"]
    assert isinstance(run_config(*task, f"{group}={option}", *NEEDS.get(option, [])), RunConfig)


def leaves(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if ":" in line and not line.lstrip().startswith(("#", "-")) and line.strip()]


@pytest.mark.parametrize("group", [g for g in GROUPS if g not in ("task", "method", "protocol")])
def test_every_knob_is_commented_where_it_is_defined(group: str) -> None:
    path = config_dir() / group / ("default.yaml" if (config_dir() / group / "default.yaml").exists() else "")
    for file in [path] if path.is_file() else sorted((config_dir() / group).glob("*.yaml")):
        bare = [line for line in leaves(file) if "#" not in line and not line.rstrip().endswith(":")]
        assert not [line for line in bare if not line.startswith("name:")], f"{file.name}: {bare}"


def test_the_paper_protocol_holds_the_reference_numbers() -> None:
    run = run_config("task=task1516", "model=vicuna_7b_v1_5", "protocol=paper")
    generation, annotation = run.generation, run.annotation
    assert (generation.rounds, generation.prompts_per_round, generation.top_k) == (40, 10, 40)
    assert (generation.max_new_tokens, generation.context_cutoff, generation.max_drafts) == (500, 3000, 10)
    assert (annotation.samples, annotation.best_of, annotation.top_k, annotation.min_share) == (10, 20, 10, 0.3)
    assert (run.temperature.output, annotation.balance, run.filters.length_sigmas) == (0.2, "downsample", 2.0)
    assert (run.finetuning.kind, run.finetuning.learning_rate, run.finetuning.max_epochs) == ("full", 5e-5, 3)
    assert run.finetuning.max_length == 2000


def test_where_the_paper_says_a_number_the_default_is_it() -> None:
    run = run_config("task=task1516", "synthesis=default")
    assert (run.filters.length_sigmas, run.annotation.balance, run.generation.max_drafts) == (2.0, "downsample", 10)


def test_the_paper_protocol_is_the_same_for_every_model() -> None:
    def numbers(model: str) -> list[object]:
        run = run_config("task=task1516", f"model={model}", "protocol=paper")
        assert run.finetuning.objective == "sft", "or `preference` counts"
        aside = {"micro_batch_size", "gradient_checkpointing", "save_every_s", "target_modules", "preference"}
        trained = {key: value for key, value in vars(run.finetuning).items() if key not in aside}
        # `neighbours` is for the other methods: what they must be shown to write anything with this model.
        generation = {key: value for key, value in vars(run.generation).items() if key != "neighbours"}
        return [generation, run.filters, run.annotation, run.temperature, trained]

    first, *others = [numbers(path) for path in options("model") if path != "local"]
    assert len(others) > 5 and all(other == first for other in others)


def test_a_model_preset_picks_its_sizes_and_the_command_line_wins() -> None:
    assert run_config("task=task1562").generation.max_drafts == 3
    assert run_config("task=task1562", "synthesis=default").generation.max_drafts == 10
    assert run_config("task=task1562", "model=vicuna_7b_v1_5").generation.max_drafts == 10


def test_zero_arguments_compose() -> None:
    assert OmegaConf.is_dict(composed())


@pytest.mark.parametrize(
    ("overrides", "annotation", "evaluation"),
    [
        (["engine=hf"], 64, 256),
        # Several times what is under way at once: the engine stays full until near the end of a batch.
        (["engine=vllm"], 2 * 256, 4 * 256),
        (["engine=openai", "engine.evaluation_batch=9"], 8 * 32, 9),
        (["engine=vllm", "annotation.batch=3", "evaluation.batch=4"], 3, 4),
        # The teacher's engine annotates, the student's answers the evaluation.
        (["engine=vllm", "teacher=openai", "teacher.model.path=x", "annotation.annotator=base"], 8 * 32, 4 * 256),
    ],
)
def test_batches_suit_the_engine_that_answers_them(overrides: list[str], annotation: int, evaluation: int) -> None:
    config = run_config(*overrides)
    assert (config.annotation.batch, config.evaluation.batch) == (annotation, evaluation)


def test_the_line_that_resumes_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["selfguide", "sweep.storage=postgresql://me:s3cretpw@host/db"])
    with pytest.raises(SystemExit) as ended:
        interrupted()
    said = capsys.readouterr().err
    assert ended.value.code == 130 and "sweep.storage=postgresql://***@host/db" in said and "s3cretpw" not in said
