"""2,000 replies of a server that means no good: none crashes, hangs, or becomes an answer that was not given."""

import gzip
import json
import math
import random
import resource
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from selfguide.core.errors import EngineError
from selfguide.models.base import Completion, Request, Sampling
from selfguide.models.openai import OpenAIEngine
from selfguide.models.openai_http import MAX_REPLY_BYTES
from selfguide.prompts.selfguide import Turn
from tests.composing import run_config
from tests.models.raw_server import RawServer, raw_server
from tests.models.test_openai_dialects import TURNS as SERVED

DEADLINE_S = 2.0
PATIENCE_S = 60  # of a busy machine; what has no deadline is read for minutes
LIMIT = 8
ASKED = Request((5, 6, 7), Sampling(LIMIT, temperature=1.0, n=2), seed=4)
HEALTHY = list(HealthCheck)
TURN = replace(ASKED, prompt_ids=(), turns=(Turn("user", "Say red."),))
DIALECTS = ("vllm", "completions", "chat")


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with raw_server() as state:
        yield state


@pytest.fixture(scope="module")
def engines(server: RawServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, OpenAIEngine]]:
    fixed = ["task=task1516", "engine=openai", f"engine.base_url={server.url}", "engine.retries=0"]
    fixed += [f"engine.deadline_s={DEADLINE_S}", "engine.timeout_s=1", f"store.root={tmp_path_factory.mktemp('store')}"]
    made = {}
    for name in DIALECTS:
        more = [f"engine.dialect={name}", *(SERVED if name == "chat" else ())]
        made[name] = OpenAIEngine.from_config(run_config(*fixed, *more))
    yield made
    for engine in made.values():
        engine.close()


DEEP: Any = []
for _ in range(400):
    DEEP = [DEEP]
NUMBERS = [True, -1, 0, 1, 2**31, 2**32, 2**63, 10**40, 1.5, math.nan, math.inf, -math.inf, 100.0]
SHAPES = [None, [], {}, [None], DEEP, [5] * 100_000, [-0.5] * 10_000]
TEXTS = ["", "5", "\ud800", "red " * 10_000, "\x1b[2J\n", "stop", "length", "abort"]
HEADERS = [
    *(b"Content-Encoding: " + name for name in (b"gzip", b"gzip", b"br", b"gzip, gzip")),
    *(b"Content-Length: " + number for number in (b"-1", b"99999999999", b"x")),
    *(b"Retry-After: " + number for number in (b"1e999", b"-3", b"nan")),
    *(b"Transfer-Encoding: chunked", b"X: " + b"y" * 70_000, b"\xff\xfe: \x00", b"no colon", b"Connection: upgrade"),
    *(b"Content-Type: text/event-stream", b"Location: http://127.0.0.1:1/"),
]
STATUS = [*[b"200 OK"] * 12, b"204 None", b"301 Moved", b"401 No", b"404 No", b"429 Later", b"500 Oh", b"999 ?"]


def sample(index: int, draw: random.Random) -> dict[str, Any]:
    """A sample as each dialect has it, well-formed."""
    ids = [draw.randrange(5, 200) for _ in range(draw.randint(0, LIMIT))]
    logprobs = [-draw.random() * 50 for _ in ids]
    text = draw.choice(["red", "", "red\nblue", "grün", " a b"])
    return {
        "index": index,
        "token_ids": ids,
        "logprobs": {"token_logprobs": logprobs, "content": [{"logprob": each} for each in logprobs]},
        "text": text,
        "message": {"content": text},
        "finish_reason": draw.choice(["stop", "length"]),
    }


def holders(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        if value[key] is DEEP or (isinstance(value[key], list | str) and len(value[key]) > 100):
            continue
        yield value, key
        yield from holders(value[key])


def body(draw: random.Random) -> bytes:
    """What stands behind the headers: JSON with up to two parts put wrong, sometimes cut, sometimes anything."""
    if draw.random() < 0.1:
        return draw.randbytes(draw.randrange(300))
    document: Any = {"choices": [sample(index, draw) for index in range(draw.choice([2, 2, 2, 2, 1, 3]))]}
    for _ in range(draw.choice([0, 1, 1, 2])):
        if not (parts := list(holders(document))):
            break
        holder, key = draw.choice(parts)
        if draw.random() < 0.7:
            holder[key] = draw.choice(draw.choice([NUMBERS, NUMBERS, SHAPES, TEXTS]))
        else:
            del holder[key]
    text = json.dumps(document).encode()
    if draw.random() < 0.1:
        at = draw.randrange(len(text) + 1)
        return text[:at] + draw.randbytes(draw.randrange(5)) + text[at + draw.randrange(5) :]
    return text


def reply_of(draw: random.Random) -> list[bytes]:
    """A whole reply, in the pieces in which it is sent."""
    if draw.random() < 0.03:
        return [draw.randbytes(draw.randrange(1, 200))]
    content, headers = body(draw), draw.sample(HEADERS, draw.choice([0, 0, 0, 1, 2]))
    if b"Content-Encoding: gzip" in headers:
        content = gzip.compress(content)[: draw.choice([None, None, 5, -3])]
    if not any(header.lower().startswith((b"content-length", b"transfer-encoding")) for header in headers):
        headers.append(b"Content-Length: %d" % (len(content) + draw.choice([0] * 12 + [-3, 3])))
    head = b"HTTP/1.1 " + draw.choice(STATUS) + b"\r\n" + b"".join(header + b"\r\n" for header in headers) + b"\r\n"
    raw = head + content
    cut = draw.randrange(len(raw))
    return [piece for piece in (raw[:cut], raw[cut:]) if piece]


def given_by(dialect: str, raw: bytes) -> list[tuple[Any, float, str]]:
    """What the server said, read by other means: ids or text, log-probability, why it ended, of each sample."""
    head, _, content = raw.partition(b"\r\n\r\n")
    # A length that is too short ends the reply.
    lengths = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    content = content[: lengths[0]] if lengths else content
    if b"content-encoding: gzip" in head.lower():
        content = zlib.decompress(content, 47)
    samples = json.loads(content)["choices"]
    if all(sample.get("index") is not None for sample in samples):
        samples = sorted(samples, key=lambda sample: sample["index"])
    said = []
    for sample in samples:
        known = sample.get("logprobs") or {}
        numbers = known.get("token_logprobs") or []
        if dialect == "chat":
            numbers = [token["logprob"] for token in known.get("content") or []]
        what = sample["token_ids"] if dialect == "vllm" else sample["text"] if dialect == "completions" else None
        if dialect == "chat":
            what = sample["message"]["content"] or ""
        said.append((what, sum(numbers), "length" if sample.get("finish_reason") == "length" else "stop"))
    return said


def heard(dialect: str, engine: OpenAIEngine, answer: list[Completion]) -> list[tuple[Any, float, str]]:
    def what(one: Completion) -> Any:
        if dialect == "completions":
            return spelled(engine, one.token_ids)
        return list(one.token_ids) if dialect == "vllm" else one.text

    return [(what(one), one.logprob, one.finish) for one in answer]


def spelled(engine: OpenAIEngine, ids: Sequence[int]) -> str:
    assert engine._tokenizer is not None
    return str(engine._tokenizer.tokenizer.decode(ids))


def ask(engine: OpenAIEngine, asked: Request = ASKED) -> list[Completion] | None:
    """The answer; None for an error in one line. Nothing takes longer than the deadline."""
    start = time.monotonic()
    try:
        [answer] = engine.generate([asked])
    except EngineError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return None
    finally:
        assert time.monotonic() - start < PATIENCE_S
    return answer


def tried(server: RawServer, engines: dict[str, OpenAIEngine], size: int, number: int) -> dict[str, int]:
    """Ask for so many replies, drawn with the seed `number`: how many were answers, and how many refused."""
    counts = {"answers": 0, "refused": 0}

    @seed(number)
    @settings(max_examples=size, deadline=None, database=None, derandomize=False, suppress_health_check=HEALTHY)
    @given(st.sampled_from(DIALECTS), st.integers(0, 2**32).map(random.Random).map(reply_of))
    def reply(dialect: str, pieces: list[bytes]) -> None:
        server.pieces = pieces
        answer = ask(engines[dialect], TURN if dialect == "chat" else ASKED)
        counts["refused" if answer is None else "answers"] += 1
        if answer is not None:
            assert all(one.logprob <= 1e-2 and len(one.token_ids) <= LIMIT * 4 for one in answer)
            said = given_by(dialect, b"".join(pieces))
            if dialect == "chat":
                said = [(what.strip(), *rest) for what, *rest in said]
            if dialect == "completions":  # a text as its tokens spell it
                tokenize = engines[dialect]._tokenizer.tokenizer  # type: ignore[union-attr]
                tokens = [tokenize(what, add_special_tokens=False).input_ids for what, *_ in said]
                said = [(spelled(engines[dialect], ids), *rest) for ids, (_, *rest) in zip(tokens, said, strict=True)]
            assert heard(dialect, engines[dialect], answer) == said

    reply()
    return counts


@pytest.mark.parametrize("size", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_generated_replies(size: int, server: RawServer, engines: dict[str, OpenAIEngine]) -> None:
    counts = tried(server, engines, size, 0)
    assert sum(counts.values()) >= size * 0.9
    assert min(counts.values()) > size / (10 if size >= 1000 else 20), counts  # few are few by chance


@pytest.mark.parametrize("sent", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"])
def test_who_stops_in_the_middle_is_left_at_the_deadline(
    sent: bytes, server: RawServer, engines: dict[str, OpenAIEngine]
) -> None:
    server.pieces, server.pause_s = [sent, *[b" "] * 1000], 0.5
    try:
        assert ask(engines["vllm"]) is None
    finally:
        server.pause_s = 0.0


@pytest.mark.parametrize("times", [1, 2])
def test_a_packed_reply_is_not_unpacked_beyond_the_limit(
    times: int, server: RawServer, engines: dict[str, OpenAIEngine]
) -> None:
    packed = b"".join(map(zlib.compressobj(9, zlib.DEFLATED, 31).compress, [bytes(1 << 20)] * 400))
    for _ in range(times - 1):
        packed = gzip.compress(packed)
    coding = b", ".join([b"gzip"] * times)
    server.pieces = [b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding + b"\r\n\r\n" + packed]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert ask(engines["vllm"]) is None
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 4 * MAX_REPLY_BYTES, "400 MiB when unpacked"
