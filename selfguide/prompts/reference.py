"""The two prompts in the words of the reference implementation (`model.prompt_format=reference`). Pure.

Its texts are kept to the letter, misspellings included, as facts of its format: the code published with arXiv
2407.12874. It annotates, trains and evaluates with one text for both families, and has another for new inputs. The
prompts of other methods stay plain text.
"""

from selfguide.prompts.selfguide import AnswerPrompt, InputPrompt, Prompt

REFERENCE = ("reference", "reference_none")
"""Formats of this layout; `reference_none` has the `None` that the reference writes behind the last demonstration."""

ANSWER = """{instruction}
{shots}
{input}"""
RULE = "-" * 92
INPUT = f"""{{instruction}}
{{shots}}
{{drafts}}
{{which}}
{{note}}"""


def written(prompt: Prompt, prompt_format: str) -> str:
    """A prompt as one text, up to where the completion starts: plain, or as the reference writes it."""
    if prompt_format in REFERENCE and isinstance(prompt, AnswerPrompt):
        shots = "".join(f"USER: [input] = {d.input}\nASSISTANT: {d.output}\n" for d in prompt.demonstrations).strip()
        shots += "None" if prompt_format == "reference_none" else ""
        return ANSWER.format(instruction=prompt.instruction, shots=shots, input=prompt.input)
    if prompt_format in REFERENCE and isinstance(prompt, InputPrompt):
        label = prompt.label
        return INPUT.format(
            instruction=prompt.instruction,
            shots=_inputs(tuple(d.input for d in prompt.demonstrations)),
            drafts=_inputs(prompt.drafts),
            which=label or "",
            note="",
        )
    return prompt.plain()


def stop_strings(prompt: Prompt, prompt_format: str) -> tuple[str, ...]:
    """What ends a completion: plain text goes on to its next field, chat and the reference's texts end by a token."""
    own = isinstance(prompt, AnswerPrompt | InputPrompt)
    return prompt.stop if prompt_format == "plain" or (prompt_format in REFERENCE and not own) else ()


def _inputs(texts: tuple[str, ...]) -> str:
    return "".join(f'[input]="{text}"\n\n' for text in texts) or "N/A\n"
