from dataclasses import replace
from pathlib import Path

import pytest

from selfguide.config.schema import AnnotationConfig, GenerationConfig
from selfguide.core.errors import PromptTooLongError
from selfguide.core.types import Example, TaskSpec
from selfguide.models.loading import load_prompt_tokenizer
from selfguide.models.session import LanguageModel
from selfguide.prompts.selfguide import InputPrompt
from selfguide.store import Journal
from selfguide.synthesis.candidates import Candidate
from selfguide.synthesis.inputs import InputProposer
from selfguide.synthesis.outputs import Annotator
from selfguide.testing.scripted import ScriptedEngine
from tests.composing import run_config

CONFIG = run_config("task=sni", "task.id=task1", "synthesis=default")
TOKENIZER = load_prompt_tokenizer(CONFIG.model)
TASK = TaskSpec(
    "mood",
    "classification",
    "Good or bad?",
    (Example("the soup was nice", "good"), Example("the soup was nasty", "bad"), Example("a fine day", "good")),
    ("good", "bad"),
)
WORDS = ["red", "blue", "old", "new", "small", "big", "nice", "fine", "lost"]


def words(prompt: str, seed: int, sample: int) -> str:
    return f"the {WORDS[seed % 9]} soup was {WORDS[seed // 9 % 9]}"


def proposals(folder: Path, answer=words, **generation: object) -> tuple[list[Candidate], ScriptedEngine]:
    engine = ScriptedEngine(TOKENIZER.decode, answer)
    knobs = replace(CONFIG.generation, **{"rounds": 5, "prompts_per_round": 6, **generation})
    with Journal(folder / "journal.jsonl") as journal:
        return proposer(engine, knobs, 7).propose(journal), engine


def proposer(engine: ScriptedEngine, generation: GenerationConfig, seed: int = 0) -> InputProposer:
    return InputProposer(LanguageModel(CONFIG, engine), TASK, generation, CONFIG.filters, 0.8, seed)


def test_every_proposal_is_kept_with_its_reason(tmp_path: Path) -> None:
    found, engine = proposals(tmp_path, lambda *_: "the soup was nice")
    assert len(found) == 30
    assert {c.dropped for c in found} == {"copy_of_demonstration"}
    assert engine.batches == [6] * 5


def test_accepted_inputs_feed_later_rounds_as_drafts_and_none_the_first(tmp_path: Path) -> None:
    found, engine = proposals(tmp_path)
    accepted_first = [c.input for c in found if c.round == 0 and c.dropped is None]
    assert accepted_first
    assert not any("Draft:" in prompt for prompt in engine.prompts[:6])
    assert any(f"Draft: {accepted_first[0]}\n" in prompt for prompt in engine.prompts[6:])


def test_a_label_is_drawn_for_each_prompt_and_recorded(tmp_path: Path) -> None:
    found, engine = proposals(tmp_path, rounds=10)
    assert {c.label for c in found} == {"good", "bad"}
    for candidate, prompt in zip(found, engine.prompts, strict=True):
        assert prompt.endswith(f"Output: {candidate.label}\nInput:")


def test_the_reference_shows_inputs_only(tmp_path: Path) -> None:
    _, engine = proposals(tmp_path, show_outputs=False, label_conditioning=False)
    assert not any("good" in prompt.split("New inputs")[1] for prompt in engine.prompts[:6])


def test_generation_stops_at_the_target(tmp_path: Path) -> None:
    found, engine = proposals(tmp_path, rounds=50, target=8)
    accepted = [c for c in found if c.dropped is None]
    assert len(accepted) >= 8
    assert sum(c.round < found[-1].round for c in accepted) < 8
    assert len(engine.batches) == found[-1].round + 1


def test_same_seed_same_proposals_and_any_round_can_be_resumed(tmp_path: Path) -> None:
    whole, _ = proposals(tmp_path)
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for done in range(len(lines)):
        (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[:done]))
        resumed, engine = proposals(tmp_path)
        assert resumed == whole
        assert len(engine.batches) == len(lines) - done
        assert (tmp_path / "journal.jsonl").read_bytes() == b"".join(lines)


def test_a_long_prompt_is_redrawn_with_fewer_drafts() -> None:
    pool = [f"a rather long synthetic input number {n}" for n in range(50)]
    engine = ScriptedEngine(TOKENIZER.decode, words)
    shortest = proposer(engine, CONFIG.generation).draw([], 0, 0).rendered
    assert shortest is not None
    bare = shortest.size
    for cutoff in (bare, bare + 40, bare + 400):
        drawing = proposer(engine, replace(CONFIG.generation, context_cutoff=cutoff))
        for index in range(20):
            request = drawing.draw(pool, 0, index)
            assert request.rendered is not None
            assert request.rendered.ids == TOKENIZER.encode_prompt(request.prompt)
            assert request.rendered.size <= cutoff
            assert isinstance(request.prompt, InputPrompt)
            assert set(request.prompt.drafts) <= set(pool)
    assert request.prompt.drafts


def test_instruction_and_demonstrations_too_long_is_a_clear_error() -> None:
    knobs = replace(CONFIG.generation, context_cutoff=20)
    with pytest.raises(PromptTooLongError, match=r"task mood: instruction and demonstrations alone take \d+ tokens"):
        proposer(ScriptedEngine(TOKENIZER.decode, words), knobs).draw([], 0, 0)


def annotator(engine: ScriptedEngine, config: AnnotationConfig) -> Annotator:
    return Annotator(LanguageModel(CONFIG, engine), TASK, config, 0.2, 0)


def test_annotation_asks_best_of_and_resumes_after_any_batch(tmp_path: Path) -> None:
    candidates = [Candidate(str(n), 0, f"input {n}") for n in range(10)]
    candidates[3] = replace(candidates[3], dropped="noise")
    knobs = replace(CONFIG.annotation, samples=2, best_of=4, batch=4)

    def run(batch: int = 4) -> tuple[list[Candidate], ScriptedEngine]:
        engine = ScriptedEngine(TOKENIZER.decode, lambda _, seed, sample: f"{seed % 97} {sample}")
        with Journal(tmp_path / "journal.jsonl") as journal:
            done = annotator(engine, replace(knobs, batch=batch)).annotate(candidates, journal)
        return done, engine

    whole, engine = run()
    assert engine.batches == [4, 4, 1]
    assert [len(c.samples) for c in whole] == [4, 4, 4, 0, 4, 4, 4, 4, 4, 4]
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for done in range(len(lines)):
        for batch in (1, 3, 64):
            (tmp_path / "journal.jsonl").write_bytes(b"".join(lines[:done]))
            assert run(batch)[0] == whole


def test_an_input_without_room_for_an_answer_is_dropped_not_a_crash(tmp_path: Path) -> None:
    candidates = [Candidate("a", 0, "short"), Candidate("b", 0, "word " * 400)]
    engine = ScriptedEngine(TOKENIZER.decode, words, context_length=300)
    with Journal(tmp_path / "journal.jsonl") as journal:
        short, long = annotator(engine, CONFIG.annotation).annotate(candidates, journal)
    assert (short.dropped, long.dropped) == (None, "prompt_too_long")
