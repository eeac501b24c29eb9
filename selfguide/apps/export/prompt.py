"""The prompt that goes along with exported weights: `prompt.txt`, or `messages.json` for a chat model.

`{input}` stands for the input in both, wherever a task's own texts do not hold the same letters.
"""

from pathlib import Path

from selfguide.analysis.folder import RunFolder
from selfguide.core.files import write_json, write_text
from selfguide.prompts.selfguide import AnswerPrompt, answer_prompt

PLAIN, CHAT = "prompt.txt", "messages.json"


def placeholder(run: RunFolder) -> str:
    """What stands for the input: a word that neither the instruction nor a demonstration holds."""
    task = run.task
    texts = "\n".join([task.instruction, *(f"{d.input}\n{d.output}" for d in task.demonstrations)])
    name = "{input}"
    while name in texts:
        name = f"{{{name}}}"
    return name


def rendered(run: RunFolder) -> AnswerPrompt:
    """The prompt of the run's task, with the placeholder as its input."""
    return answer_prompt(run.task, placeholder(run))


def is_chat(run: RunFolder) -> bool:
    """Whether the model is asked in turns."""
    return bool(run.config.model.prompt_format == "chat")


def write_prompt(run: RunFolder, folder: Path) -> None:
    """Put the prompt into the exported folder."""
    prompt = rendered(run)
    if is_chat(run):
        write_json(folder / CHAT, [{"role": turn.role, "content": turn.text} for turn in prompt.turns()])
    else:
        write_text(folder / PLAIN, prompt.plain())
