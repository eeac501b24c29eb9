"""A secret in an address is refused before any file is written: of the run, of Hydra, of the store."""

import copy
import dataclasses
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import ValidationError

from selfguide.config.schema import RunConfig
from selfguide.config.secrets import secret_problems
from tests.composing import composed, run_config
from tests.test_cli import command

SECRET = "s3cr3tpw"
ADDRESSES = [
    f"http://me:{SECRET}@127.0.0.1:9/x",
    f"https://{SECRET}@h.example/x",
    f"http://127.0.0.1:9/x?token={SECRET}",
]
URL_KEYS = {
    "data.url": ["task=task190"],
    "engine.base_url": ["engine=openai"],
    "teacher.engine.base_url": ["teacher=openai", "teacher.model.path=x", "annotation.annotator=base"],
    "task.hub.path": ["task=hub"],
    "model.path": [],
    "+data.mirror": [],
}


def refused(folder: Path, *arguments: str, module: str = "selfguide.main") -> str:
    done = command(*arguments, "store.root=store", cwd=folder, module=module)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1 and SECRET not in done.stdout + done.stderr, done.stderr
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in written if SECRET in path.read_text(errors="replace")]
    assert not list(folder.rglob(".hydra"))
    return done.stderr


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("key", URL_KEYS)
def test_an_address_with_a_secret_leaves_no_file(key: str, address: str, tmp_path: Path) -> None:
    said = refused(tmp_path, *URL_KEYS[key], f"{key}='{address}'")
    assert said.startswith(f"error: {key.lstrip('+')}: holds a user name, a query or a key")


WRITTEN = [
    *(f"data.url={address}&a=b" for address in (ADDRESSES[2], f"//h/x?token={SECRET}", f"https:h;key={SECRET}")),
    *(f"data.url={address}[x" for address in (ADDRESSES[0], f"https://{SECRET}@h/", f"http://u:a/{SECRET}@h/")),
    *(f"data.url='{address}',b" for address in ADDRESSES),
    *(f"data.url='{address}'" for address in (f"//h/x?token={SECRET}", f"s3://me:{SECRET}/x", f"http://h:{SECRET}/")),
    *(f"{key}='{ADDRESSES[2]}'" for key in ("task", "data.timeout_s", "no.such.key")),
    *(f"data.url=[{ADDRESSES[1]}]", ADDRESSES[2], f"+hf_token={SECRET}", f"+data.x='//h/x?access_token={SECRET}'"),
]


@pytest.mark.parametrize("override", WRITTEN)
def test_what_cannot_be_read_or_is_no_address_is_not_echoed(override: str, tmp_path: Path) -> None:
    refused(tmp_path, "task=task190", override)


def test_every_key_of_an_address_is_tested() -> None:
    def urls(prefix: str, node: Any) -> set[str]:
        keys: set[str] = set()
        for field in dataclasses.fields(node):
            value, key = getattr(node, field.name), f"{prefix}{field.name}"
            if dataclasses.is_dataclass(value):
                keys |= urls(f"{key}.", value)
            elif "url" in field.name or (isinstance(value, str) and "://" in value):
                keys.add(key)
        return keys

    run: RunConfig = run_config("engine=openai", *URL_KEYS["teacher.engine.base_url"], "+sweep=default")
    assert urls("", run) <= set(URL_KEYS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", f"data.url=http://h/a,{ADDRESSES[0]}"],
        ["-m", "+sweep=default", f"sweep.tasks=['micro_color_word data.url={ADDRESSES[0]}']"],
        ["-m", "+sweep=default", f"sweep.storage='postgresql://me:{SECRET}@h/db'"],
        ["--config-dir", "mine", "data=private"],
        ["--config-dir", "mine", "-m", "data=default,private"],
    ],
    ids=["multirun", "sweep", "storage", "file", "file of a job"],
)
def test_whichever_way_it_comes(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine" / "data").mkdir(parents=True)
    text = f"defaults: [default]\nurl: {ADDRESSES[0]}\n"
    (tmp_path / "mine" / "data" / "private.yaml").write_text(text)
    before = set(tmp_path.rglob("*"))
    done = command(*arguments, "store.root=store", cwd=tmp_path)
    assert done.returncode == 2 and SECRET not in done.stdout + done.stderr, done.stderr
    assert re.search(r"^error: \S+: holds a (user name|password)", done.stderr), done.stderr
    new = [path for path in set(tmp_path.rglob("*")) - before if path.is_file()]
    assert not [path for path in new if SECRET in path.read_text(errors="replace")]


COMPOSED = [
    ["engine=openai", *URL_KEYS["teacher.engine.base_url"], "+sweep=default"],
    ["method=loop", "student=encoder", "engine=vllm", "task=hub", "tracking=wandb"],
]
WAYS = ("{}", "${{oc.env:IT}}", "a {} b")
# An address in these is data.
TEXTS = re.compile(r"\b(instruction|demonstrations|labels|noise_terms|context_until|input_template|output_names)\b")


@pytest.mark.parametrize("overrides", COMPOSED, ids=["served", "loop"])
def test_no_key_that_takes_a_text_may_hold_a_secret(overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    config = composed(*overrides)
    for variable, secret in (("MY_API_KEY", f"sk-{SECRET}-0123456789"), ("ADDRESS", ADDRESSES[2])):
        monkeypatch.setenv(variable, secret)
        monkeypatch.setenv("IT", secret)
        refused, address = set(), variable == "ADDRESS"
        for key, way in zip(leaves("", config), cycle(WAYS), strict=False):
            with suppress(ValidationError), put(config, key, way.format(secret)):
                about = re.compile(re.escape(key) + r"(\[0\])?: holds ")
                lines = [line for line in secret_problems(config) if about.match(line)]
                assert lines or (address and TEXTS.search(key)), key
                assert not any(SECRET in line for line in lines)
                refused.add(key)
        assert len(refused) > 50, "numbers and switches take no text"
        monkeypatch.delenv(variable)


def leaves(prefix: str, node: DictConfig) -> Iterator[str]:
    for name in node:
        inner = node._get_node(name)
        if isinstance(inner, DictConfig) and not (inner._is_none() or inner._is_missing() or not len(inner)):
            yield from leaves(f"{prefix}{name}.", inner)
        else:
            yield f"{prefix}{name}"


@contextmanager
def put(config: DictConfig, key: str, value: str) -> Iterator[None]:
    """`key` has the value meanwhile. Raises ValidationError for one that takes no text."""
    *_, name = key.split(".")
    holder = OmegaConf.select(config, key.rpartition(".")[0]) if "." in key else config
    before = copy.copy(holder._get_node(name))
    kind = OmegaConf.get_type(before)
    if isinstance(before, DictConfig):
        raise ValidationError("takes no text")
    listed = isinstance(before, ListConfig) or kind is list
    holder[name] = [value] if listed else value
    try:
        # An interpolated text is none for a number, either.
        OmegaConf.select(config, f"{key}[0]" if listed else key)
        yield
    finally:
        holder._set_item_impl(name, before)


def test_texts_and_clean_addresses_are_taken() -> None:
    text = f"Answer about {ADDRESSES[0]}"
    run = run_config("task=json", "task.path=x", f"task.instruction='{text}'", "data.url=https://h/gh/x@master/tasks")
    spoken = "Which key=value? token=word"
    assert run_config("task=json", "task.path=x", f"task.instruction='{spoken}'").task.instruction == spoken
    assert (run.task.instruction, run.data.url) == (text, "https://h/gh/x@master/tasks")
