"""The prompts that real instruction models get, from their turn formats: pinned, with one BOS, ends known.

`tests/golden/chat` has each family's format as a template of ours, and the prompt that comes out.
After a change that is meant: python -m tests.goldens
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from selfguide.core.errors import ConfigError
from selfguide.core.types import Example
from selfguide.prompts.selfguide import AnswerPrompt, Turn
from selfguide.prompts.tokenization import PromptTokenizer

GOLDEN = Path(__file__).parent / "golden" / "chat"
PROMPT = AnswerPrompt("Name the colour.", (Example("A red ball.", "red"),), "A blue hat.")
SYSTEM = (Turn("system", "Be brief."), Turn("user", "Hello"))


@dataclass(frozen=True)
class Family:
    """What a family's tokenizer and generation config say of turns. `ends`: what ends an answer, the usual first."""

    eos: str
    ends: tuple[str, ...]
    bos: str | None = None
    adds_bos: bool = False
    others: tuple[str, ...] = ()
    template: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


LLAMA_3 = ("<|start_header_id|>", "<|end_header_id|>")
GEMMA = Family("<eos>", ("<end_of_turn>", "<eos>"), "<bos>", True, ("<start_of_turn>",))
QWEN = Family("<|im_end|>", ("<|im_end|>", "<|endoftext|>"), others=("<|im_start|>",))
FAMILIES = {
    "vicuna": Family("</s>", ("</s>",), "<s>", True, template="vicuna"),
    "llama_2": Family("</s>", ("</s>",), "<s>", True),
    "llama_3": Family("<|eot_id|>", ("<|eot_id|>", "<|end_of_text|>"), "<|begin_of_text|>", True, LLAMA_3),
    "llama_3_2": Family(
        "<|eot_id|>", ("<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"), "<|begin_of_text|>", True, LLAMA_3
    ),
    "qwen_2_5": QWEN,
    "qwen_3": Family(QWEN.eos, QWEN.ends, others=QWEN.others, options={"enable_thinking": False}),
    "mistral": Family("</s>", ("</s>",), "<s>", True, ("[INST]", "[/INST]")),
    "gemma_2": GEMMA,
    "gemma_3": GEMMA,
    "phi_3": Family("<|endoftext|>", ("<|end|>", "<|endoftext|>", "<|assistant|>"), "<s>", others=("<|user|>",)),
}


def tokenizer_of(name: str, template: str | None = None) -> PromptTokenizer:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    family = FAMILIES[name]
    special = list(dict.fromkeys((*([family.bos] if family.bos else []), family.eos, *family.ends, *family.others)))
    vocabulary = {token: i for i, token in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    if family.adds_bos and family.bos:
        ids = [(family.bos, vocabulary[family.bos])]
        backend.post_processor = processors.TemplateProcessing(single=f"{family.bos} $A", special_tokens=ids)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=family.bos, eos_token=family.eos, extra_special_tokens=special
    )
    stops = [vocabulary[end] for end in family.ends]
    chosen = template or family.template or str(GOLDEN / f"{name}.jinja")
    return PromptTokenizer(tokenizer, "chat", chosen, family.options, stops)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_prompt_is_the_golden_one(name: str) -> None:
    tokenizer = tokenizer_of(name)
    ids = tokenizer.encode_prompt(PROMPT)
    assert tokenizer.tokenizer.decode(list(ids)) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert ids[:2].count(tokenizer.tokenizer.bos_token_id) == FAMILIES[name].adds_bos


@pytest.mark.parametrize("name", FAMILIES)
def test_an_answer_ends_as_the_template_ends_it(name: str) -> None:
    tokenizer, ends = tokenizer_of(name), FAMILIES[name].ends
    assert tokenizer.tokenizer.convert_ids_to_tokens(tokenizer.encode_answer("red")[-1]) == ends[0]
    assert set(tokenizer.tokenizer.convert_ids_to_tokens(list(tokenizer.stop_ids))) == {*ends, FAMILIES[name].eos}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_system_turn_is_in_the_prompt_of_every_family(name: str) -> None:
    text = tokenizer_of(name).render(SYSTEM)
    assert text.index("Be brief.") < text.index("Hello")


def test_the_prompt_of_tomorrow_is_todays() -> None:
    assert "Today Date: 26 Jul 2024" in (GOLDEN / "llama_3_2.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("template", ["{{ messages[0].content }}", "{{ bos_token + bos_token + messages[0].content }}"])
def test_one_bos_whatever_the_template_writes(template: str, tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text(template)
    tokenizer = tokenizer_of("llama_2", str(tmp_path / "own.jinja"))
    bos = tokenizer.tokenizer.bos_token_id
    assert tokenizer.encode_prompt(AnswerPrompt("Do it.", (), "two"))[:2].count(bos) == 1
    # A tokenizer that adds none of its own leaves it to the template.
    tokenizer = tokenizer_of("phi_3", str(tmp_path / "own.jinja"))
    bos = tokenizer.tokenizer.bos_token_id
    assert tokenizer.encode_prompt(AnswerPrompt("Do it.", (), "two"))[:2].count(bos) == ("bos_token" in template)


def test_a_template_that_refuses_a_prompt_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text("{{ raise_exception('never') }}")
    with pytest.raises(ConfigError, match=r"^model.chat_template: the template refuses the prompt: never$"):
        tokenizer_of("llama_2", str(tmp_path / "own.jinja")).encode_prompt(PROMPT)


def write() -> None:
    """The prompts anew."""
    for name in FAMILIES:
        tokenizer = tokenizer_of(name)
        (GOLDEN / f"{name}.txt").write_text(tokenizer.tokenizer.decode(list(tokenizer.encode_prompt(PROMPT))))
