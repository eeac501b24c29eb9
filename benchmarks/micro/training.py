"""The pretraining loop: one process, checkpoints, exact resumption, a JSONL log of loss and probes."""

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from benchmarks.micro.corpus import Batch, make_batch
from benchmarks.micro.init import look_up_heads
from benchmarks.micro.mixture import Mixture
from benchmarks.micro.muon import MuonAdamW
from benchmarks.micro.probes import answer_cases, conditioned_validity, exact_match, reading_cases
from benchmarks.micro.settings import Architecture, Pretraining, recorded
from benchmarks.micro.tokenizer import label_pieces, save_tokenizer, train_tokenizer
from selfguide.core.errors import DataError


def rate(config: Pretraining, step: int, seen: float) -> float:
    """Share of the full learning rate: warm-up, constant, then linear to zero."""
    left = (config.tokens - seen) / (config.tokens * config.decay)
    return min(1.0, (step + 1) / config.warmup_steps, max(0.01, left))


def mixture_at(config: Pretraining, seen: float) -> Mixture:
    """The mixture after `seen` million tokens."""
    return Mixture(**next((p.mixture for p in config.phases if seen < p.until), config.phases[-1].mixture))


def build_model(architecture: Architecture, seed: int = 0) -> Any:
    """A Llama with fresh weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = architecture.hidden // 64
    config = LlamaConfig(
        vocab_size=architecture.vocabulary,
        hidden_size=architecture.hidden,
        intermediate_size=architecture.feed_forward,
        num_hidden_layers=architecture.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        head_dim=64,
        max_position_embeddings=architecture.context,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    look_up_heads(model, seed)
    return model


def batch_loss(model: Any, batch: Batch, body: Any = None) -> torch.Tensor:
    """Weighted cross-entropy; logits are computed only where a token counts, attention stays within an episode.

    `body` computes the hidden states in place of `model.model`: the same, compiled.
    """
    ids, episodes = torch.from_numpy(batch.ids), torch.from_numpy(batch.episodes)[:, :-1]
    same = episodes[:, None, :, None] == episodes[:, None, None, :]
    mask = same & torch.ones(same.shape[-2:], dtype=torch.bool).tril()
    weights = torch.from_numpy(batch.weights)[:, 1:].reshape(-1)
    counted = weights.nonzero()[:, 0]
    # A multiple of 256 rows: CPU kernels are compiled for each shape they meet.
    counted = functional.pad(counted, (0, -len(counted) % 256), value=int((weights == 0).nonzero()[0]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = (model.model if body is None else body)(
            input_ids=ids[:, :-1],
            attention_mask=mask,
            position_ids=torch.from_numpy(batch.positions)[:, :-1],
            use_cache=False,
        ).last_hidden_state
        logits = functional.linear(hidden.flatten(0, 1)[counted], model.lm_head.weight)
    loss = functional.cross_entropy(logits.float(), ids[:, 1:].reshape(-1)[counted], reduction="none")
    return (loss * weights[counted]).sum() / weights.sum()


def pretrain(config: Pretraining) -> float:
    """Train, or go on where the folder's checkpoint stands; returns the mean loss of the last steps.

    Raises `DataError` if the checkpoint is of another recipe.
    """
    from safetensors.torch import load_file, save_file

    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    _same_recipe(folder, config)
    tokenizer = _tokenizer(folder, config)
    pieces = label_pieces(tokenizer)
    model = build_model(config.architecture, config.seed)
    optimiser = MuonAdamW(model.named_parameters(), config.muon_lr, config.adam_lr)
    checkpoint = folder / "checkpoint.safetensors"
    index = 0
    if checkpoint.exists():
        saved = load_file(checkpoint)
        kept = {name: saved[f"model.{name}"] for name, _ in model.named_parameters()}
        model.load_state_dict(kept, strict=False)  # tied weights are one parameter under two names
        prefix = "state."
        optimiser.load_state({key.removeprefix(prefix): t for key, t in saved.items() if key.startswith(prefix)})
        index = int(saved["index"])
        _cut_log(folder / "log.jsonl", index * config.batch_tokens)

    def save() -> None:
        tensors = {f"model.{n}": p.detach() for n, p in model.named_parameters()}
        tensors |= {f"state.{n}": t for n, t in optimiser.state().items()} | {"index": torch.tensor(index)}
        save_file(tensors, checkpoint.with_suffix(".tmp"))
        checkpoint.with_suffix(".tmp").replace(checkpoint)

    def log(record: dict[str, Any]) -> None:
        with (folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    body = torch.compile(model.model, dynamic=False) if config.compiled else None
    model.train()
    started = saved_at = time.monotonic()
    first, losses, mean = index, list[float](), 0.0
    while (seen := index * config.batch_tokens / 1e6) < config.tokens:
        batch = make_batch(tokenizer, config.seed, index, config.batch_tokens, mixture_at(config, seen), pieces)
        loss = batch_loss(model, batch, body)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step(rate(config, index, seen))
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise RuntimeError(f"loss is {losses[-1]} after {seen:.2f}M tokens")
        index += 1
        every = max(1, int(config.probe_every * 1e6 / config.batch_tokens))
        if index % 25 == 0:
            now = time.monotonic()
            speed = (index - first) * config.batch_tokens / (now - started)
            mean = sum(losses) / len(losses)
            seen_tokens = index * config.batch_tokens
            log({"tokens": seen_tokens, "loss": round(mean, 4), "tokens_per_second": round(speed)})
            losses.clear()
        if index % every == 0:
            log({"tokens": index * config.batch_tokens} | probe(model, tokenizer, config))
        if time.monotonic() - saved_at > 60 * config.checkpoint_minutes:
            save()
            saved_at = time.monotonic()
    save()
    export(model, tokenizer, folder / "model", config.architecture.context)
    return mean


def _same_recipe(folder: Path, config: Pretraining) -> None:
    """The recipe, written beside the checkpoint, or compared with what was."""
    path, now = folder / "recipe.json", recorded(config)
    if not path.exists():
        if (folder / "checkpoint.safetensors").exists():
            raise DataError(f"{folder}: has a checkpoint of an unknown recipe; choose another output")
        path.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [key for key in now if before.get(key) != now[key]]
    if changed:
        key = changed[0]
        raise DataError(
            f"{folder}: was begun with {key}={before.get(key)}, now {now[key]}; choose another output to begin anew"
        )


def _cut_log(path: Path, tokens: int) -> None:
    """Without the lines that a killed run wrote after its last checkpoint."""
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if json.loads(line)["tokens"] <= tokens]
        path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _tokenizer(folder: Path, config: Pretraining) -> Any:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    if not path.exists():
        last = mixture_at(config, math.inf)
        mixture = last if last.by_purpose else Mixture()
        train_tokenizer(config.seed, config.architecture.vocabulary, mixture=mixture).save(str(path))
    return Tokenizer.from_file(str(path))


def probe(model: Any, tokenizer: Any, config: Pretraining) -> dict[str, Any]:
    """Few-shot exact match and conditioned validity on what the corpus holds out."""
    cases = answer_cases(1, config.probe_cases)
    if mixture_at(config, math.inf).by_purpose:
        cases |= reading_cases(24, max(1, config.probe_cases // 8))
    model.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = {name: round(exact_match(model, tokenizer, asked), 3) for name, asked in cases.items()}
        valid = conditioned_validity(model, tokenizer, 2, config.probe_cases // 3)
    model.train()
    return {"exact_match": scores, "conditioned_validity": {n: round(v, 3) for n, v in valid.items()}}


def export(model: Any, tokenizer: Any, folder: Path, context: int) -> Path:
    """Write the model in bfloat16 with its tokenizer, as transformers and vLLM load them."""
    import copy

    copy.deepcopy(model).to(torch.bfloat16).eval().save_pretrained(folder)
    save_tokenizer(tokenizer, folder, context)
    return folder
