"""What every engine must do. Subclass `EngineContract` and give it the fixtures.

`engine` (context of at most a few hundred tokens), `prompt_tokenizer`, `adapters` (two LoRA
adapters that change the model) and `exact` (False where the engine rounds differently from batch
to batch, so that tokens alone and in a batch may differ at a near-tie).
"""

from dataclasses import replace

import pytest

from selfguide.core.errors import PromptTooLongError
from selfguide.models.base import Completion, Engine, Request, Sampling, ScoreRequest, Weights
from selfguide.prompts.tokenization import PromptTokenizer

TEXTS = (
    "Task: Name the colour in the sentence.\n\nInput: The cup is red.\nOutput: red\n\nInput: A hat.\nOutput:",
    "Task: Name the colour in the sentence.\n\nInput: The cup is red.\nOutput: red\n\nInput: The old car.\nOutput:",
    "Task: Name the colour in the sentence.\n\nInput: The cup is red.\nOutput: red\n\nInput: No.\nOutput:",
    "Say yes.",
    "Task: Count.\n\nInput: one two\nOutput:",
)
SAMPLED = Sampling(max_new_tokens=8, temperature=1.0, top_k=30, top_p=0.95, n=3)
GREEDY = Sampling(max_new_tokens=8)


class EngineContract:
    """Order, seeds, batches, stops, choices, adapters, scores, counts, and what closing gives back."""

    exact = True

    @pytest.fixture
    def prompts(self, prompt_tokenizer: PromptTokenizer) -> list[tuple[int, ...]]:
        return [tuple(prompt_tokenizer.tokenizer(text).input_ids) for text in TEXTS]

    def test_an_empty_list_gives_an_empty_list(self, engine: Engine) -> None:
        assert engine.generate([]) == []
        assert engine.score([]) == []

    def test_order_and_n_are_kept(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        counts = [1, 4, 2, 3, 1]
        requests = [
            Request(p, replace(SAMPLED, n=n), seed=i) for i, (p, n) in enumerate(zip(prompts, counts, strict=True))
        ]
        together = engine.generate(requests)
        assert [len(completions) for completions in together] == counts
        if self.exact:
            assert [tokens(c) for c in together] == [tokens(self.alone(engine, request)) for request in requests]

    def test_tokens_do_not_depend_on_the_batch(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        if not self.exact:
            pytest.skip("this engine is not batch-invariant")
        requests = [Request(p, SAMPLED, seed=i) for i, p in enumerate(prompts)]
        alone = [tokens(self.alone(engine, request)) for request in requests]
        assert [tokens(c) for c in engine.generate(requests)] == alone
        assert [tokens(c) for c in engine.generate(requests[::-1])][::-1] == alone
        assert [tokens(c) for c in engine.generate(requests * 2)] == alone * 2

    def test_seed_and_sample_draw_anew(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        sampling = replace(SAMPLED, n=6, temperature=2.0, top_k=0, top_p=1.0)
        first, again, other = engine.generate(
            [
                Request(prompts[0], sampling, seed=1),
                Request(prompts[0], sampling, seed=1),
                Request(prompts[0], sampling, 2),
            ]
        )
        assert tokens(first) == tokens(again) != tokens(other)
        assert len({completion.token_ids for completion in first}) > 1

    def test_more_samples_begin_with_the_same_ones(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        few, many = engine.generate(
            [Request(prompts[0], SAMPLED, seed=5), Request(prompts[0], replace(SAMPLED, n=6), seed=5)]
        )
        assert tokens(few) == tokens(many)[:3]

    def test_length_ends_a_completion(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        for completions in engine.generate([Request(p, replace(GREEDY, max_new_tokens=3)) for p in prompts]):
            for completion in completions:
                assert len(completion.token_ids) <= 3
                assert (completion.finish == "length") or len(completion.token_ids) > 0

    def test_eos_ends_a_completion(self, engine: Engine, prompt_tokenizer: PromptTokenizer) -> None:
        prompt = tuple(prompt_tokenizer.tokenizer(TEXTS[0]).input_ids)
        sampling = Sampling(max_new_tokens=60, temperature=2.0, n=40)
        [completions] = engine.generate([Request(prompt, sampling, seed=3)])
        eos = prompt_tokenizer.end_id
        stopped = [c for c in completions if c.finish == "stop"]
        assert stopped, "40 hot samples of 60 tokens: some should have ended"
        assert all(c.token_ids[-1] == eos and eos not in c.token_ids[:-1] for c in stopped)
        assert all(eos not in c.token_ids for c in completions if c.finish == "length")

    def test_a_stop_string_ends_and_is_cut(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        request = Request(prompts[0], Sampling(max_new_tokens=24, temperature=1.5, n=16), seed=7)
        free = self.alone(engine, request)
        target = next(c for c in free if len(c.text) >= 3 and c.text[1:3].isascii() and c.text[1:3].isalnum())
        stop = target.text[1:3]
        stopped = self.alone(engine, replace(request, sampling=replace(request.sampling, stop=(stop,))))
        cut = stopped[free.index(target)]
        assert cut.finish == "stop"
        assert stop not in cut.text
        assert cut.text == target.text[: target.text.index(stop)].strip()
        assert cut.token_ids == target.token_ids[: len(cut.token_ids)]

    def test_choices_are_honoured(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        choices = ("yes", "yes, always", "no", "Ünklar 不")
        requests = [Request(p, replace(SAMPLED, n=10, choices=choices, top_k=0), seed=i) for i, p in enumerate(prompts)]
        found = {c.text for completions in engine.generate(requests) for c in completions}
        assert found <= set(choices)
        assert len(found) > 1

    def test_an_over_long_prompt_is_a_clear_error(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        before = engine.tokens.copy()
        long = (prompts[0] * 100)[: engine.context_length]
        with pytest.raises(PromptTooLongError, match=str(engine.context_length)):
            engine.generate([Request(prompts[0], GREEDY), Request(long, GREEDY)])
        assert engine.tokens == before, "nothing is computed when one prompt is too long"
        [[completion]] = engine.generate([Request(long[:-1], GREEDY)])
        assert len(completion.token_ids) == 1

    def test_score_equals_the_log_probability_of_generate(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        completions = [(p, c) for p in prompts for c in self.alone(engine, Request(p, SAMPLED, seed=11))]
        scores = engine.score([ScoreRequest(p, c.token_ids) for p, c in completions])
        for (_, completion), score in zip(completions, scores, strict=True):
            assert len(score) == len(completion.token_ids)
            assert sum(score) == pytest.approx(completion.logprob, abs=self.tolerance)

    def test_adapters_do_not_mix(
        self, engine: Engine, prompts: list[tuple[int, ...]], adapters: tuple[Weights, Weights]
    ) -> None:
        variants = (None, *adapters)
        requests = [Request(p, GREEDY, weights=w) for p in prompts for w in variants]
        mixed = engine.generate(requests)
        for weights in variants:
            own = [i for i, request in enumerate(requests) if request.weights == weights]
            assert [tokens(c) for c in engine.generate([requests[i] for i in own])] == [tokens(mixed[i]) for i in own]
        texts = {
            weights: [tokens(mixed[i]) for i, r in enumerate(requests) if r.weights == weights] for weights in variants
        }
        assert texts[None] != texts[adapters[0]] != texts[adapters[1]] != texts[None]

    def test_scores_differ_between_adapters(
        self, engine: Engine, prompts: list[tuple[int, ...]], adapters: tuple[Weights, Weights]
    ) -> None:
        base, first, second, again = engine.score(
            [ScoreRequest(prompts[0], prompts[3], weights) for weights in (None, *adapters, None)]
        )
        assert base == pytest.approx(again, abs=self.tolerance)
        assert max(abs(a - b) for a, b in zip(base, first, strict=True)) > 0.01
        assert max(abs(a - b) for a, b in zip(first, second, strict=True)) > 0.01

    def test_tokens_are_counted_once_for_each_request(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        before = engine.tokens.copy()
        results = engine.generate([Request(p, SAMPLED, seed=i) for i, p in enumerate(prompts)])
        spent = engine.tokens - before
        assert spent.prompt == sum(len(p) for p in prompts)
        assert spent.generated == sum(len(c.token_ids) for completions in results for c in completions)

    def test_progress_adds_up(self, engine: Engine, prompts: list[tuple[int, ...]]) -> None:
        seen: list[int] = []
        engine.generate([Request(p, GREEDY) for p in prompts * 3], seen.append)
        assert sum(seen) == 3 * len(prompts)

    tolerance = 1e-3
    held_at_least = 50 * 2**20

    @pytest.fixture
    def heavy(self, engine: Engine) -> Engine:
        """The engine, with a model that can be seen in the process's memory."""
        return engine

    def held(self) -> float:
        """What this process and its children hold: bytes, or another measure where the engine holds something else."""
        import psutil

        process = psutil.Process()
        return float(sum(one.memory_info().rss for one in (process, *process.children(recursive=True))))

    def test_closing_gives_back_what_it_held(self, heavy: Engine, prompts: list[tuple[int, ...]]) -> None:
        heavy.generate([Request(p, GREEDY) for p in prompts])  # what its first use leaves in a process is not its own
        heavy.close()
        before = self.held()
        heavy.generate([Request(p, GREEDY) for p in prompts])
        gained = self.held() - before
        heavy.close()
        assert gained >= self.held_at_least
        assert self.held() - before <= gained / 4

    @staticmethod
    def alone(engine: Engine, request: Request) -> list[Completion]:
        return engine.generate([request])[0]


def tokens(completions: list[Completion]) -> list[tuple[int, ...]]:
    """The ids of each."""
    return [completion.token_ids for completion in completions]
