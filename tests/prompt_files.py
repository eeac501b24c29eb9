"""Prompts as the text files that pin them."""

from collections.abc import Mapping

from selfguide.prompts.selfguide import Prompt


def prompt_files(prompts: Mapping[str, Prompt]) -> dict[str, str]:
    """File name -> content: each prompt in plain text and as chat turns."""
    files = {f"{name}.plain.txt": prompt.plain() for name, prompt in prompts.items()}
    for name, prompt in prompts.items():
        files[f"{name}.chat.txt"] = "".join(f"<{turn.role}>\n{turn.text}\n" for turn in prompt.turns())
    return files
