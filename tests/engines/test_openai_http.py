"""engine=openai against a server that fails on purpose."""

import logging
from collections.abc import Iterator

import pytest

from selfguide.engines.base import Request, Sampling, Weights
from selfguide.engines.build import engine_identity
from selfguide.engines.openai import OpenAIEngine
from selfguide.engines.openai_http import Endpoint
from selfguide.errors import ConfigError, EngineError
from tests.composing import run_config
from tests.engines.failing_server import BREAK, HANG, FailingServer, failing_server

KEY = "sk-not-a-real-key-0123456789"
ONE = Request((5, 6, 7), Sampling(8))


@pytest.fixture
def server() -> Iterator[FailingServer]:
    with failing_server() as state:
        yield state


def engine(server: FailingServer, *overrides: str) -> OpenAIEngine:
    fast = ("engine.backoff_s=0.001", "engine.max_backoff_s=0.002", "engine.timeout_s=0.5")
    return OpenAIEngine.from_config(
        run_config("task=task1516", "engine=openai", f"engine.base_url={server.url}", *fast, *overrides)
    )


@pytest.mark.parametrize("failure", [429, 500, 502, 503, HANG, BREAK])
def test_what_may_pass_is_tried_again(server: FailingServer, failure: int) -> None:
    server.plan = [failure, failure]
    [[completion]] = engine(server).generate([ONE])
    assert completion.token_ids == (5, 6, 1)
    assert completion.logprob == -1.0
    assert len(server.bodies) == 3


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
    pauses: list[list[float]] = []
    for _ in range(2):
        pauses.append([])
        server.plan = [500] * 6
        Endpoint(settings, sleep=pauses[-1].append).post("completions", {"n": 1})
    assert all(0 <= p <= bound for run in pauses for p, bound in zip(run, [1, 2, 4, 5, 5, 5], strict=True))
    assert pauses[0] != pauses[1], "jitter"
    server.plan = [429]
    Endpoint(settings, sleep=pauses[0].append).post("completions", {"n": 1})
    assert pauses[0][-1] == 5, "the server asked for 7 seconds; the bound holds"


def test_the_key_is_sent_and_never_shown(
    server: FailingServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.plan = [500, 401]
    with caplog.at_level(logging.DEBUG), pytest.raises(EngineError) as raised:
        engine(server).generate([ONE])
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert "OPENAI_API_KEY is refused" in str(raised.value)
    assert KEY not in str(raised.value) + caplog.text


def test_a_key_in_the_address_is_refused(server: FailingServer) -> None:
    with pytest.raises(ConfigError, match="keys in the environment only"):
        engine(server, "engine.base_url=http://me:secret@127.0.0.1:1/v1").generate([ONE])


def test_no_more_requests_than_allowed_at_once(server: FailingServer) -> None:
    server.delay = 0.02
    results = engine(server, "engine.concurrency=3", "engine.timeout_s=5").generate([ONE] * 20)
    assert len(results) == 20
    assert server.most <= 3


def test_one_failure_stops_the_others(server: FailingServer) -> None:
    server.plan = [400]
    server.delay = 0.02
    with pytest.raises(EngineError):
        engine(server, "engine.concurrency=2", "engine.timeout_s=5").generate([ONE] * 50)
    assert len(server.bodies) < 10


def test_a_spent_budget_stops_before_anything_is_sent(server: FailingServer) -> None:
    limited = engine(server, "engine.token_budget=11")
    assert len(limited.generate([ONE, ONE])) == 2  # 2 x (3 + 3) tokens
    with pytest.raises(EngineError, match=r"engine.token_budget: 12 of 11 tokens"):
        limited.generate([ONE])
    assert len(server.bodies) == 2


def test_a_server_without_runtime_adapters_is_explained(server: FailingServer, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "adapter_config.json").write_text("{}")
    server.plan = [404]
    with pytest.raises(EngineError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"):
        engine(server).generate([Request((5, 6), Sampling(4), weights=Weights("a" * 16, tmp_path))])


def test_the_plain_api_takes_text(server: FailingServer) -> None:
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [{"index": 0, "message": {"content": "red\nInput: more"}, "finish_reason": "stop"}]
    }
    [[completion]] = engine(server, "engine.dialect=chat").generate([Request((5, 6), Sampling(8, stop=("\nInput:",)))])
    assert completion.text == "red"
    assert "messages" in server.bodies[0]
    assert "top_k" not in server.bodies[0]


def test_the_served_model_is_part_of_every_stage_key(server: FailingServer) -> None:
    config = run_config("task=task1516", "engine=openai", "engine.model=big", "engine.dialect=chat")
    assert engine_identity(config.engine) == "openai+big+chat"
    assert engine_identity(run_config("task=task1516").engine) == "hf"
