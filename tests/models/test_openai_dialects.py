"""How requests are written for a server, and what its answers may lack."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from selfguide.core.errors import ConfigError, EngineError
from selfguide.models.base import Request, Sampling, ScoreRequest
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.openai import OpenAIEngine
from selfguide.models.openai_dialects import PlainDialect, VLLMDialect
from selfguide.models.vllm_requests import Translator
from selfguide.prompts.selfguide import Turn
from selfguide.prompts.tokenization import PromptTokenizer
from tests.composing import run_config
from tests.models.checkpoints import model_config
from tests.models.failing_server import FailingServer, failing_server

SAMPLED = Request((5, 6, 7), Sampling(8, temperature=0.7, top_k=10, top_p=0.9, n=3, stop=("\n",)), seed=4)

TWO = replace(SAMPLED, sampling=Sampling(8, temperature=1.0, n=2))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingServer]:
    monkeypatch.setenv("SELFGUIDE_STORE", str(tmp_path / "store"))
    with failing_server() as state:
        yield state


TURNS = ("model.prompt_format=turns", "finetuning=none")


def engine(server: FailingServer, dialect: str, *more: str) -> OpenAIEngine:
    more += TURNS if dialect == "chat" else ()
    address = f"engine.base_url={server.url}"
    return OpenAIEngine.from_config(
        run_config("task=task1516", "engine=openai", address, f"engine.dialect={dialect}", *more)
    )


def asked(request: Request, dialect: str) -> Request:
    """The request as the dialect takes it."""
    return replace(request, prompt_ids=(), turns=(Turn("user", "Say red."),)) if dialect == "chat" else request


@pytest.fixture(scope="module")
def tokenizer() -> PromptTokenizer:
    return load_prompt_tokenizer(model_config("micro"))


@pytest.mark.vllm
@pytest.mark.parametrize("request_", [SAMPLED, replace(SAMPLED, sampling=Sampling(8))], ids=["sampled", "greedy"])
def test_a_served_model_samples_as_in_process(request_: Request, tokenizer: PromptTokenizer) -> None:
    """Whatever generation_config.json says: `vllm serve` fills what a request leaves out from there."""
    from vllm.entrypoints.openai.completion.protocol import CompletionRequest

    defaults = {
        "repetition_penalty": 1.1, "presence_penalty": 0.5, "frequency_penalty": 0.5,
        "temperature": 0.6, "top_k": 20, "top_p": 0.8, "min_p": 0.05, "max_tokens": 3,
    }  # fmt: skip
    body = {"model": "m", **VLLMDialect(tokenizer).body(request_, 8)}
    served = CompletionRequest(**body).to_sampling_params(body["max_tokens"], defaults)
    _, in_process = Translator(tokenizer).sample(request_, 8)
    for name in (*defaults, "n", "seed", "stop", "min_tokens", "logprobs"):
        assert getattr(served, name) == getattr(in_process, name), name


def test_the_server_adds_the_first_token_not_the_text(tokenizer: PromptTokenizer) -> None:
    from tokenizers.processors import TemplateProcessing

    own = load_prompt_tokenizer(model_config("micro"))
    bos = own.tokenizer.convert_tokens_to_ids("<s>")
    assert own.tokenizer.bos_token_id == bos
    plain = tuple(own.tokenizer("Say yes.", add_special_tokens=False).input_ids)
    # A template writes it, and the tokenizer adds none: so it must stay.
    text = PlainDialect(own).body(Request((bos, *plain), Sampling(4)), 4)["prompt"]
    assert tuple(own.tokenizer(text).input_ids) == (bos, *plain)
    # As Llama's, Mistral's and Vicuna's.
    own.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", bos)])
    served = tuple(own.tokenizer("Say yes.").input_ids)
    assert served == (bos, *plain)
    text = PlainDialect(own).body(Request(served, Sampling(4)), 4)["prompt"]
    assert tuple(own.tokenizer(text).input_ids) == served


def test_what_the_plain_api_cannot_do_is_said_once(server: FailingServer, caplog: pytest.LogCaptureFixture) -> None:
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [{"index": i, "text": "red", "finish_reason": "stop"} for i in range(body["n"])]
    }
    with caplog.at_level(logging.WARNING):
        [answers, _] = engine(server, "completions").generate([SAMPLED, replace(SAMPLED, seed=5)])
    assert [answer.logprob for answer in answers] == [0.0, 0.0, 0.0]
    assert caplog.text.count("no top_k: 10 is left out") == 1
    assert caplog.text.count("no log-probabilities") == 1
    assert "top_k" not in server.bodies[0]


def test_an_answer_of_another_dialect_names_the_knob(server: FailingServer) -> None:
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [{"index": i, "text": "red", "finish_reason": "stop"} for i in range(body["n"])]
    }
    for dialect in ("vllm", "chat"):
        with pytest.raises(EngineError, match=rf'^engine.dialect: {dialect} does not fit .*"text": "red"'):
            engine(server, dialect).generate([asked(SAMPLED, dialect)])


def test_a_server_that_gives_fewer_samples_than_asked_for_is_an_error(server: FailingServer) -> None:
    server.answer = lambda body: {"choices": [{"text": "red"}]}  # type: ignore[method-assign]
    with pytest.raises(EngineError, match=r"completions does not fit .*1 of 3 samples"):
        engine(server, "completions").generate([SAMPLED])


GOOD = {
    "index": 0,
    "token_ids": [5, 6],
    "logprobs": {"token_logprobs": [-0.5, -0.25]},
    "text": "red",
    "message": {"content": "red"},
    "finish_reason": "stop",
}
BAD: dict[str, tuple[str, dict[str, object]]] = {
    "a negative id": ("vllm", {"token_ids": [5, -6]}),
    "an id beyond the vocabulary": ("vllm", {"token_ids": [5, 10**9]}),
    "an id that no integer type holds": ("vllm", {"token_ids": [5, 10**40]}),
    "an id that is no number": ("vllm", {"token_ids": [5, "6"]}),
    "an id that is no integer": ("vllm", {"token_ids": [5, 6.5]}),
    "ids that are none": ("vllm", {"token_ids": None}),
    "more tokens than requested": ("vllm", {"token_ids": [5] * 9, "logprobs": {"token_logprobs": [-1.0] * 9}}),
    "one log-probability too few": ("vllm", {"logprobs": {"token_logprobs": [-0.5]}}),
    "no log-probabilities": ("vllm", {"logprobs": {}}),
    "log-probability NaN": ("vllm", {"logprobs": {"token_logprobs": [-0.5, float("nan")]}}),
    "log-probability -inf": ("vllm", {"logprobs": {"token_logprobs": [-0.5, float("-inf")]}}),
    "a positive log-probability": ("vllm", {"logprobs": {"token_logprobs": [-0.5, 0.25]}}),
    "a log-probability that is none": ("vllm", {"logprobs": {"token_logprobs": [-0.5, None]}}),
    "an end of no known kind": ("vllm", {"finish_reason": "abort"}),
    "an index twice": ("vllm", {"index": 1}),
    "an index below 0": ("vllm", {"index": -1}),
    "an index that is no number": ("vllm", {"index": "0"}),
    "text: NaN": ("completions", {"logprobs": {"token_logprobs": [float("nan")]}}),
    "text: positive": ("completions", {"logprobs": {"token_logprobs": [0.5]}}),
    "text: more tokens than requested": ("completions", {"logprobs": {"token_logprobs": [-0.5] * 9}}),
    "text: none": ("completions", {"text": None}),
    "text: an end of no known kind": ("completions", {"finish_reason": "tired"}),
    "chat: +inf": ("chat", {"logprobs": {"content": [{"logprob": float("inf")}]}}),
    "chat: no message": ("chat", {"message": None}),
    "chat: a list for a text": ("chat", {"message": {"content": ["red"]}}),
}


@pytest.mark.parametrize("case", BAD)
def test_nothing_of_a_reply_is_used_unchecked(case: str, server: FailingServer) -> None:
    dialect, wrong = BAD[case]
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [
            GOOD | {"index": 1, "logprobs": GOOD["logprobs"] if dialect == "vllm" else None},
            _for(dialect, wrong),
        ]
    }
    with pytest.raises(EngineError, match=rf"^engine.dialect: {dialect} does not fit this server's answer") as raised:
        engine(server, dialect).generate([asked(TWO, dialect)])
    assert "\n" not in str(raised.value)
    assert len(server.bodies) == 1, "it would be the same the next time"


def _for(dialect: str, wrong: dict[str, object]) -> dict[str, object]:
    return {**GOOD, **({} if dialect == "vllm" else {"logprobs": None}), **wrong}


@pytest.mark.parametrize("dialect", ["vllm", "completions", "chat"])
def test_the_replies_above_are_good_but_for_what_is_wrong(dialect: str, server: FailingServer) -> None:
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [_for(dialect, {"index": 1}), _for(dialect, {})]
    }
    [answers] = engine(server, dialect).generate([asked(TWO, dialect)])
    assert len(answers) == 2


@pytest.mark.parametrize("raw", [b"[" * 10**6, b'{"choices":' * 10**5, b"", b"<html>", b"\xff\xfe", b"null", b"{}"])
def test_what_is_no_reply_is_one_line(raw: bytes, server: FailingServer) -> None:
    server.raw = raw
    with pytest.raises(EngineError, match="does not fit this server's answer") as raised:
        engine(server, "vllm").generate([SAMPLED])
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("scores", [{}, {"token_id:5": 0.5}, {"token_id:6": -1.0}, {"token_id:5": float("nan")}, None])
def test_scores_are_checked(scores: dict[str, float] | None, server: FailingServer) -> None:
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [{"index": 0, "logprobs": {"top_logprobs": [scores]}}]
    }
    with pytest.raises(EngineError, match="does not fit this server's answer"):
        engine(server, "vllm").score([ScoreRequest((5, 6), (5,))])


def test_scores_are_those_of_the_candidates(server: FailingServer) -> None:
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [{"index": 0, "logprobs": {"top_logprobs": [{"token_id:5": -0.5, "token_id:9": -3.0}]}}]
    }
    assert engine(server, "vllm").score([ScoreRequest((5, 6), (5,))]) == [(-0.5,)]


def test_turns_and_the_chat_api_go_together() -> None:
    with pytest.raises(ConfigError, match=r"^model.prompt_format: plain is not allowed .*allowed: turns"):
        run_config("task=task1516", "engine=openai", "engine.dialect=chat")
    with pytest.raises(ConfigError, match=r"^model.prompt_format: turns is not allowed with engine=hf; allowed: plain"):
        run_config("task=task1516", *TURNS)
    with pytest.raises(ConfigError, match=r"^finetuning.kind: lora is not allowed with model.prompt_format=turns"):
        run_config("task=task1516", "engine=openai", "engine.dialect=chat", TURNS[0])
    run_config("task=task1516", "teacher=chat", "teacher.model.path=gpt-3.5-turbo", "annotation.annotator=base")


TALK = Request((), Sampling(50, temperature=0.7, n=2), seed=3, turns=(Turn("user", "A?"), Turn("assistant", "B.")))


def test_turns_reach_the_server_as_they_are_without_a_tokenizer(server: FailingServer) -> None:
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [{"index": i, "message": {"content": f" red{i} "}, "finish_reason": "length"} for i in (1, 0)],
        "usage": {"prompt_tokens": 9, "completion_tokens": 7},
    }
    talking = engine(server, "chat", "model.path=gpt-3.5-turbo")
    [answers] = talking.generate([TALK])
    assert [(answer.text, answer.finish) for answer in answers] == [("red0", "length"), ("red1", "length")]
    assert (talking.tokens.prompt, talking.tokens.generated, talking.tokens.calls) == (9, 7, 2)
    [body] = server.bodies
    assert body["model"] == "gpt-3.5-turbo"
    assert body["messages"] == [{"role": "user", "content": "A?"}, {"role": "assistant", "content": "B."}]
    assert (body["max_tokens"], body["n"], body["temperature"]) == (50, 2, 0.7)
    assert not {"prompt", "top_k"} & body.keys()


@pytest.mark.parametrize(
    ("refusal", "sent"),
    [
        ("maximum context length is 100 tokens. However, you requested 140 tokens (90 in the messages, 50 in the "
         "completion).", [50, 10]),
        ("max_tokens=50 cannot be greater than max_model_len=40. Please request fewer output tokens.", [50, 25]),
        ("maximum context length is 100 tokens. However, you requested 50 output tokens and your prompt contains at "
         "least 51 input tokens", [50, 25]),
        ("maximum context length is 100 tokens. However, your messages resulted in 200 tokens.", [50]),
        ("maximum context length is 100 tokens. However, your prompt contains 101 input tokens, which exceeds", [50]),
    ],
)  # fmt: skip
def test_the_server_says_what_its_context_holds(refusal: str, sent: list[int], server: FailingServer) -> None:
    server.answer = lambda body: {  # type: ignore[method-assign]
        "choices": [{"index": i, "message": {"content": "red"}} for i in range(body["n"])]
    }
    server.refusal, server.plan = refusal, [400]
    [answers, others] = engine(server, "chat", "engine.concurrency=1").generate([TALK, replace(TALK, seed=4)])
    assert [body["max_tokens"] for body in server.bodies] == [*sent, 50]
    assert (len(answers), len(others)) == (2 if len(sent) > 1 else 0, 2)


def test_another_refusal_is_an_error(server: FailingServer) -> None:
    server.refusal, server.plan = "no such model", [400]
    with pytest.raises(EngineError, match="no such model"):
        engine(server, "chat").generate([TALK])
