"""Between the contract's requests and vLLM's: sampling parameters out, completions in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from selfguide.core.seeding import child_seed
from selfguide.models.base import Completion, Request, ScoreRequest, Weights
from selfguide.models.stopping import StopStrings
from selfguide.prompts.tokenization import PromptTokenizer

MAX_CANDIDATES = 128
"""Tokens that vLLM scores at one position of one request."""


class Translator:
    """Bound to one tokenizer; knows nothing of the running engine."""

    def __init__(self, tokenizer: PromptTokenizer) -> None:
        self._tokenizer = tokenizer
        self._stoppers: dict[tuple[str, ...], StopStrings] = {}

    def sample(self, request: Request, limit: int, every: int | None = None) -> tuple[Any, Any]:
        """vLLM's prompt and sampling parameters. `every`: also report progress each so many tokens."""
        from vllm import SamplingParams, TokensPrompt
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        sampling = request.sampling
        stop = () if sampling.choices else sampling.stop
        choices = [spelled(self._tokenizer, choice) for choice in sampling.choices]
        params = SamplingParams(
            # vLLM takes no more than one greedy sample: the others would be the same.
            n=1 if sampling.temperature == 0 else sampling.n,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            # Sample i of a request has seed + i in vLLM: neighbouring seeds must not share samples.
            seed=child_seed(request.seed, "vllm") >> 1,
            max_tokens=limit,
            stop=list(stop) or None,
            stop_token_ids=sorted(self._tokenizer.stop_ids),
            logprobs=0,
            # The text is decoded here, from the ids, as for every engine; vLLM needs it for stop strings only.
            detokenize=bool(stop),
            structured_outputs=StructuredOutputsParams(choice=choices) if choices else None,
            output_kind=RequestOutputKind.FINAL_ONLY if every is None else RequestOutputKind.CUMULATIVE,
            stream_interval=every,
        )
        return TokensPrompt(prompt_token_ids=list(request.prompt_ids)), params

    def completions(self, request: Request, output: Any) -> list[Completion]:
        """The completions of a finished request, in sample order."""
        stopper = self._stopper(() if request.sampling.choices else request.sampling.stop)
        made = [self._completion(one, stopper) for one in sorted(output.outputs, key=lambda one: one.index)]
        return made * request.sampling.n if request.sampling.temperature == 0 else made

    def next_token(self, prompt_ids: Sequence[int], candidates: Sequence[int]) -> tuple[Any, Any]:
        """A request for the log-probabilities of these tokens (at most `MAX_CANDIDATES`) behind a prompt."""
        from vllm import SamplingParams, TokensPrompt
        from vllm.sampling_params import RequestOutputKind

        params = SamplingParams(
            temperature=0.0,
            max_tokens=1,
            logprob_token_ids=list(candidates),
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        return TokensPrompt(prompt_token_ids=list(prompt_ids)), params

    def _completion(self, output: Any, stopper: StopStrings) -> Completion:
        ids = tuple(output.token_ids)
        text = stopper.cut(self._tokenizer.decode(ids)).strip()
        return Completion(
            text, ids, float(output.cumulative_logprob), "length" if output.finish_reason == "length" else "stop"
        )

    def _stopper(self, stop: tuple[str, ...]) -> StopStrings:
        if stop not in self._stoppers:
            self._stoppers[stop] = StopStrings(self._tokenizer.tokenizer, stop)
        return self._stoppers[stop]


def spelled(tokenizer: PromptTokenizer, answer: str) -> str:
    """The answer's text as it continues a prompt: with the leading space that its tokens have."""
    ids = tokenizer.encode_text(answer)
    # Decoders drop a space at the start of a text; behind another token it stays.
    anchor = tokenizer.encode_text("x")[-1:]
    return _decoded(tokenizer, (*anchor, *ids))[len(_decoded(tokenizer, anchor)) :]


def _decoded(tokenizer: PromptTokenizer, ids: Sequence[int]) -> str:
    return str(tokenizer.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a text where some next tokens are to be scored."""

    weights: Weights | None
    before: tuple[int, ...]


def positions_to_score(requests: Sequence[ScoreRequest]) -> dict[Position, list[int]]:
    """Every position where a completion token stands, with the tokens that stand there in any request.

    vLLM's own scores of prompt tokens fail on batches with adapters, so each token is the candidate
    of a request that ends before it: the prefix cache makes that cheap, and completions of one
    prompt (the labels of a task) share their positions.
    """
    positions: dict[Position, dict[int, None]] = {}
    for request in requests:
        text = request.prompt_ids
        for token in request.completion_ids:
            positions.setdefault(Position(request.weights, text), {})[token] = None
            text = (*text, token)
    return {position: list(tokens) for position, tokens in positions.items()}


def passes(
    weights: Sequence[Weights | None], alone: Callable[[Weights | None], bool], base_beside_adapters: bool
) -> Iterator[list[int]]:
    """Places of the requests that the engine answers together, one group after another.

    Each of the weights that stand `alone`, in place of the base's, is a group, and so are base and adapters:
    one, or one each. Those of one adapter stand together: their prompts share what is in the prefix cache.
    """
    groups: dict[tuple[str, bool], list[int]] = {}
    for i, own in enumerate(weights):
        whole = own.name if own is not None and alone(own) else ""
        adapter = own is not None and not whole
        groups.setdefault((whole, adapter and not base_beside_adapters), []).append(i)
    for key in sorted(groups):
        yield sorted(groups[key], key=lambda i: "" if (own := weights[i]) is None else own.name)
