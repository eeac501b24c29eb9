"""Secrets are masked by the names of keys and variables; what only looks like one is not."""

import pytest

from selfguide.core.masking import MASK, masked, masked_line

SECRET = ["api_key", "apikey", "API_KEY", "token", "secret", "password", "passwd", "credential", "credentials"]


@pytest.mark.parametrize("name", [*SECRET, *(f"hub_{name}" for name in SECRET)])
def test_a_secret_is_masked_wherever_it_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert masked({"a": [{name: "hidden"}], "b": "shown"}) == {"a": [{name: MASK}], "b": "shown"}
    monkeypatch.setenv(name, "12345678")
    assert masked(["x 12345678 y", ("12345678",), 12345678]) == [f"x {MASK} y", [MASK], 12345678]
    assert masked("12345678, 12345678") == f"{MASK}, {MASK}"


@pytest.mark.parametrize("name", ["max_new_tokens", "api_key_env", "tokens", "secretary", "passwords", "x"])
def test_what_is_no_secret_is_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = {name: "shown", "token": "", "secret": None, "password": 3}
    assert masked(value) == value
    monkeypatch.setenv(name, "12345678")
    assert masked("12345678") == "12345678"


def test_a_short_variable_masks_no_words_and_an_address_loses_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "1234567")
    assert masked("1234567") == "1234567"
    assert masked("http://user:word@host/path?a=b:c@d") == f"http://{MASK}@host/path?a=b:c@d"
    assert masked("http://host:80/a@b") == "http://host:80/a@b"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("url=https://h/x?token=hidden&a=hidden: wrong", f"url=https://h/x?{MASK}&a={MASK}: wrong"),
        ("url=h/x;key=hidden: wrong", f"url=h/x;key={MASK}: wrong"),
        ("HTTP://u:hi/dden@h/[: 'https://hidden@h'", f"HTTP://{MASK}@h/[: 'https://{MASK}@h'"),
        ("no place? say=nothing; postgresql://me@h/db", "no place? say=nothing; postgresql://me@h/db"),
    ],
)
def test_a_line_shows_no_query_and_no_user_of_a_broken_address(line: str, shown: str) -> None:
    assert masked_line(line) == shown
