"""engine=openai against a server that fails on purpose."""

import asyncio
import functools
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from selfguide.config.engines import engine_problems
from selfguide.config.schema import RunConfig
from selfguide.config.serving import EngineConfig, OpenAIEngineConfig
from selfguide.core.errors import ConfigError, EngineError
from selfguide.models.base import Completion, Request, Sampling, Weights
from selfguide.models.build import engine_identity
from selfguide.models.openai import OpenAIEngine
from selfguide.models.openai_http import MAX_REPLY_BYTES, Endpoint
from selfguide.prompts.selfguide import Turn
from tests.composing import run_config
from tests.models.failing_server import BREAK, HANG, FailingServer, failing_server

KEY = 'sk-not/a"real-key+0123456789'
ONE = Request((5, 6, 7), Sampling(8))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingServer]:
    monkeypatch.setenv("SELFGUIDE_STORE", str(tmp_path / "store"))
    with failing_server() as state:
        yield state


@functools.cache
def openai_config() -> RunConfig:
    return run_config("task=task1516", "engine=openai")


def engine(server: FailingServer, *overrides: str) -> OpenAIEngine:
    fast = ("engine.backoff_s=0.001", "engine.max_backoff_s=0.002", "engine.timeout_s=30")
    return OpenAIEngine.from_config(
        run_config("task=task1516", "engine=openai", f"engine.base_url={server.url}", *fast, *overrides)
    )


def pauses_of(server: FailingServer, settings: EngineConfig) -> list[float]:
    """How long one request waits between its tries."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    endpoint = Endpoint(cast(OpenAIEngineConfig, settings), sleep)
    endpoint.run(endpoint.post("completions", {"n": 1}))
    endpoint.close()
    return pauses


@pytest.mark.parametrize("failure", [429, 500, 502, 503, HANG, BREAK])
def test_what_may_pass_is_tried_again(server: FailingServer, failure: int) -> None:
    # Of an answer that never comes once is enough, so that the time allowed for one may be long.
    server.plan, patience = ([failure], 2) if failure == HANG else ([failure, failure], 30)
    tries = len(server.plan) + 1
    [[completion]] = engine(server, f"engine.timeout_s={patience}").generate([ONE])
    assert completion.token_ids == (5, 6, 1)
    assert completion.logprob == -1.0
    assert len(server.bodies) == tries


def test_retries_end_in_one_line(server: FailingServer) -> None:
    server.plan = [503] * 10
    with pytest.raises(EngineError, match=r"HTTP 503: .* \(after 3 retries\)"):
        engine(server, "engine.retries=3").generate([ONE])
    assert len(server.bodies) == 4


def test_a_refused_request_is_not_repeated(server: FailingServer) -> None:
    server.plan = [400]
    with pytest.raises(EngineError, match="HTTP 400"):
        engine(server).generate([ONE])
    assert len(server.bodies) == 1


def test_pauses_double_are_random_and_bounded(server: FailingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = engine(server, "engine.backoff_s=1", "engine.max_backoff_s=5", "engine.retries=6")._settings
    pauses = []
    for _ in range(2):
        server.plan = [500] * 6
        pauses.append(pauses_of(server, settings))
    assert all(0 <= p <= bound for run in pauses for p, bound in zip(run, [1, 2, 4, 5, 5, 5], strict=True))
    assert pauses[0] != pauses[1], "jitter"


@pytest.mark.parametrize(("bound", "low", "high"), [(5, 2.5, 5), (60, 7, 9)])
def test_pauses_that_the_server_asks_for_differ_too(server: FailingServer, bound: int, low: float, high: float) -> None:
    settings = engine(server, "engine.backoff_s=1", f"engine.max_backoff_s={bound}")._settings
    server.plan = [429, 429]  # 7 seconds
    pauses = pauses_of(server, settings)
    assert len(pauses) == 2
    assert all(low <= pause <= high for pause in pauses)
    assert pauses[0] != pauses[1], "requests refused together must not come back together"


def has_part_of_key(text: str) -> bool:
    return any(KEY[i : i + 6] in text for i in range(len(KEY) - 5))


@pytest.mark.parametrize("case", ["refused", "newline: refused", "tried again", "cut", "200", "200 as text", "adapter"])
def test_the_key_is_sent_and_never_shown(
    case: str,
    server: FailingServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"  {KEY}\n" if "newline" in case else KEY)
    (tmp_path / "adapter_config.json").write_text("{}")
    weights = Weights("a" * 16, tmp_path) if case == "adapter" else None
    server.plan = {
        "refused": [401],
        "newline: refused": [401],
        "tried again": [500, 401],
        "cut": [400],
        "adapter": [400],
    }.get(case, [])
    if case == "cut":
        server.refusal = "x" * 280 + "  {}"
    if case.startswith("200"):
        said = KEY if case.endswith("text") else {"error": {"message": KEY}}
        server.answer = lambda body: said  # type: ignore[method-assign, assignment, return-value]
    with caplog.at_level(logging.DEBUG), pytest.raises(EngineError) as raised:
        engine(server).generate([Request((5, 6), Sampling(4), weights=weights)])
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    told = "".join(traceback.format_exception(raised.value)) + caplog.text
    assert "***" in told
    assert not has_part_of_key(told)
    assert ("OPENAI_API_KEY is refused" in told) == ("refused" in case or "again" in case)


def test_a_key_that_no_header_holds_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = openai_config().engine
    for key in (KEY + " x", KEY + "\n" + KEY, "é" + KEY, KEY + "\x7f"):
        monkeypatch.setenv("OPENAI_API_KEY", key)
        with pytest.raises(ConfigError, match="environment variable OPENAI_API_KEY holds") as raised:
            Endpoint(settings)
        assert not has_part_of_key("".join(traceback.format_exception(raised.value)))


def test_a_request_that_cannot_be_sent_is_not_repeated(server: FailingServer) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    endpoint = Endpoint(engine(server)._settings, sleep)
    endpoint._client.headers["X-Two-Lines"] = "a\nb"
    with pytest.raises(EngineError, match="LocalProtocolError"):
        endpoint.run(endpoint.post("completions", {"n": 1}))
    endpoint.close()
    assert not pauses and not server.bodies


ADDRESSES = {
    "http://me:secret@127.0.0.1:1/v1": "keys in the environment only",
    "http://127.0.0.1:1/v1?api_key=secret": "keys in the environment only",
    "http://127.0.0.1:1/v1#secret": "keys in the environment only",
    "http://127.0.0.1:secret/v1": "is not ",
    "http://127.0.0.1:99999/v1": "is not ",
    "ftp://secret/v1": "is not ",
    "secret": "is not ",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_cannot_be_or_holds_a_key_is_refused_unseen(address: str) -> None:
    config = openai_config()
    [line] = engine_problems("", replace(config.engine, base_url=address), config.model)
    assert line.startswith("engine.base_url: ")
    assert ADDRESSES[address] in line
    assert "secret" not in line


def test_a_key_in_place_of_its_variable_is_refused_unseen() -> None:
    config = openai_config()
    [line] = engine_problems("", replace(config.engine, api_key_env="sk-secret"), config.model)
    assert line.startswith("engine.api_key_env: is no name")
    assert "secret" not in line


@pytest.mark.parametrize("whose", ["", "teacher."])
def test_addresses_are_looked_at_when_the_configuration_is_composed(whose: str) -> None:
    teacher = ("teacher=openai", "teacher.model.path=micro", "annotation.annotator=base") if whose else ()
    with pytest.raises(ConfigError, match=rf"^{whose}engine.base_url: "):
        run_config("task=task1516", "engine=openai", *teacher, f"{whose}engine.base_url='http://h/v1?api_key=secret'")


def test_no_more_requests_than_allowed_at_once(server: FailingServer) -> None:
    server.delay, server.together = 0.05, 3
    results = engine(server, "engine.concurrency=3").generate([ONE] * 12)
    assert len(results) == 12
    assert server.most == 3


def test_one_failure_stops_the_others(server: FailingServer) -> None:
    server.plan = [400]
    server.delay = 0.1
    with pytest.raises(EngineError):
        engine(server, "engine.concurrency=2").generate([ONE] * 50)
    assert len(server.bodies) < 10


@pytest.mark.parametrize("budget", [11, 12])
def test_a_spent_budget_stops_before_anything_is_sent(server: FailingServer, budget: int) -> None:
    limited = engine(server, f"engine.token_budget={budget}")
    assert len(limited.generate([ONE, ONE])) == 2  # 2 x (3 + 3) tokens
    with pytest.raises(EngineError, match=rf"engine.token_budget: 12 of {budget} tokens"):
        limited.generate([ONE])
    assert len(server.bodies) == 2


def some(count: int) -> list[Request]:
    return [Request((5, 6, 7), Sampling(8, temperature=float(seed > 0), n=2), seed=seed) for seed in range(count)]


def test_a_budget_ends_a_call_and_the_next_pays_for_the_rest_alone(server: FailingServer, tmp_path: Path) -> None:
    """Tokens of a request: 3 + 2 x 3, of the greedy one 3 + 3. One at a time, so none is under way at the end."""
    limited = engine(server, "engine.concurrency=1", "engine.token_budget=20")
    with pytest.raises(EngineError, match=r"engine.token_budget: 24 of 20 tokens"):
        limited.generate(some(5))
    assert len(server.bodies) == 3
    assert limited.tokens.counts() == (9, 18, 6)
    unlimited = engine(server)
    done: list[int] = []
    assert unlimited.generate(some(5), done.append) == engine(server).generate(some(5))
    assert len({body["seed"] for body in server.bodies[:5]}) == 5
    assert len(server.bodies) == 5 + 5, "what one call was given is not kept once it has ended"
    assert unlimited.tokens.counts() == (15, 30, 10), "what the answers cost, whenever they were paid"
    assert sum(done) == 5
    assert not list((tmp_path / "store" / "unfinished").iterdir())


def test_a_failure_loses_no_answer(server: FailingServer) -> None:
    server.plan = [200, 200, 400]
    broken = engine(server, "engine.concurrency=1")
    with pytest.raises(EngineError, match="HTTP 400"):
        broken.generate(some(5))
    assert broken.tokens.counts() == (6, 12, 4)
    # In another order, beside others: as when jobs run together.
    answers = engine(server, "engine.concurrency=1").generate(some(6)[::-1])
    assert len(answers) == 6
    assert len(server.bodies) == 3 + 4
    assert engine(server, "engine.model=other").generate(some(1)) == answers[-1:]
    assert len(server.bodies) == 3 + 4 + 1


def test_bytes_that_drip_end_at_the_deadline(server: FailingServer) -> None:
    """Each byte comes within the read timeout, so that never ends it."""
    server.drip_s, server.raw = 0.05, b" " * 10_000
    slow = engine(server, "engine.deadline_s=0.6")
    before = time.monotonic()
    with pytest.raises(EngineError, match=r"no whole answer within engine\.deadline_s=0\.6"):
        slow.generate([ONE])
    assert time.monotonic() - before < 100, "it would take 500"


def test_a_reply_without_end_is_not_read_to_its_end(server: FailingServer) -> None:
    server.raw = b" " * (MAX_REPLY_BYTES + 1)
    with pytest.raises(EngineError, match="the reply is longer than 64 MiB"):
        engine(server, "engine.timeout_s=60").generate([ONE])
    assert len(server.bodies) == 1


def test_it_can_be_called_from_an_event_loop(server: FailingServer) -> None:
    """A notebook's, for one."""

    async def cell() -> list[list[Completion]]:
        with engine(server) as notebook:
            return notebook.generate([ONE])

    assert asyncio.run(cell()) == engine(server).generate([ONE])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As in the foreground: what a shell starts in the background ignores the interrupt."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("waits_for", ["an answer", "the next try"])
def test_an_interrupt_ends_it_at_once_and_keeps_what_was_answered(server: FailingServer, waits_for: str) -> None:
    server.delay = 500 if waits_for == "an answer" else 0.0
    server.plan = [] if waits_for == "an answer" else [200] + [503] * 100
    waits = ("engine.backoff_s=500", "engine.max_backoff_s=500", "engine.timeout_s=500")
    # Each of four waits; before the fifth is sent the first was answered.
    under_way = 4 if waits_for == "an answer" else 5
    slow = engine(server, "engine.concurrency=4", *waits)
    sent: list[float] = []

    def interrupt() -> None:
        while len(server.bodies) < under_way:
            time.sleep(0.02)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        slow.generate(some(8))
    assert time.monotonic() - sent[0] < 100
    server.delay, server.plan, before = 0.0, [], len(server.bodies)
    assert len(slow.generate(some(8))) == 8, "the engine can be used again"
    assert len(server.bodies) - before == (8 if waits_for == "an answer" else 7)


def test_a_server_without_runtime_adapters_is_explained(server: FailingServer, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    server.plan = [404]
    with pytest.raises(EngineError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"):
        engine(server).generate([Request((5, 6), Sampling(4), weights=Weights("a" * 16, tmp_path))])


def test_the_plain_api_takes_text(server: FailingServer) -> None:
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [{"index": 0, "message": {"content": "red\nInput: more"}, "finish_reason": "stop"}]
    }
    turns = ("model.prompt_format=turns", "finetuning=none", "engine.dialect=chat")
    asked = Request((), Sampling(8, stop=("\nInput:",)), turns=(Turn("user", "A?"),))
    [[completion]] = engine(server, *turns).generate([asked])
    assert completion.text == "red"
    assert "messages" in server.bodies[0]
    assert "top_k" not in server.bodies[0]


def test_the_served_model_is_part_of_every_stage_key(server: FailingServer) -> None:
    config = run_config("task=task1516", "engine=openai", "engine.model=big", "engine.dialect=completions")
    assert engine_identity(config.engine) == "openai2+big+completions"
    assert engine_identity(run_config("task=task1516").engine) == "hf"
