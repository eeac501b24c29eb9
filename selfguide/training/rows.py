"""Training rows: prompt ids ++ answer ids. Built by the renderer that annotates and evaluates, too.

The prompt is masked in the loss. Answer ids end with EOS, so every row has a token to learn from
and the model learns to stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from selfguide.config.schema import FinetuningConfig
from selfguide.core.errors import TrainingError
from selfguide.core.seeding import child_random
from selfguide.core.types import Example, TaskSpec
from selfguide.prompts.selfguide import answer_prompt
from selfguide.prompts.tokenization import PromptTokenizer

ORDERS = 4
"""Orders of the demonstrations in a packed training with `shuffle_demonstrations`: rows of one order share them."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One row; the loss is taken on `answer_ids` alone. `answer_ids` ends with EOS.

    Rows of one `group` show the demonstrations in the same order, so that they share most of their prompt.
    """

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    group: int = 0

    def __len__(self) -> int:
        return len(self.prompt_ids) + len(self.answer_ids)


@dataclass(frozen=True, slots=True)
class BuiltRows:
    """The rows of a training, the indices of their pairs, and of those left out: over `finetuning.max_length`."""

    rows: tuple[TrainingRow, ...]
    indices: tuple[int, ...]
    left_out: tuple[int, ...]

    @property
    def over_length(self) -> int:
        """How many pairs were left out."""
        return len(self.left_out)


def build_rows(
    task: TaskSpec,
    pairs: Sequence[Example],
    tokenizer: PromptTokenizer,
    config: FinetuningConfig,
    seed: int,
    leave_one_out: bool = False,
) -> BuiltRows:
    """Rows for `pairs` with the demonstrations in context, in the order given.

    `leave_one_out` is for pairs that are demonstrations themselves: a row's own demonstration is
    taken out of its context. Raises `TrainingError` if a row is too long under
    `finetuning.over_length=error`, or if all are.
    """
    rows: list[TrainingRow] = []
    left_out: list[int] = []
    indices: list[int] = []
    for index, pair in enumerate(pairs):
        context = demonstrations_shown(task, pair, index, config, seed, leave_one_out)
        row = TrainingRow(
            tokenizer.encode_prompt(answer_prompt(task, pair.input, context)),
            tokenizer.encode_answer(pair.output),
            demonstration_order(index, config, seed),
        )
        if not row.prompt_ids or row.answer_ids[-1:] != (tokenizer.end_id,):
            raise TrainingError(f"training row {index} has no prompt, or an answer without end-of-sequence token")
        if len(row) <= config.max_length:
            rows.append(row)
            indices.append(index)
            continue
        if config.over_length == "error":
            raise TrainingError(
                f"training row {index}: {len(row)} tokens, finetuning.max_length is {config.max_length}"
            )
        left_out.append(index)
    if left_out and not rows:
        raise TrainingError(
            f"all {len(left_out)} training rows are longer than finetuning.max_length={config.max_length}"
        )
    return BuiltRows(tuple(rows), tuple(indices), tuple(left_out))


def demonstrations_shown(
    task: TaskSpec, pair: Example, index: int, config: FinetuningConfig, seed: int, leave_one_out: bool
) -> tuple[Example, ...]:
    """What stands in the context of the pair at `index` of a training."""
    context = [d for d in task.demonstrations if d != pair] if leave_one_out else list(task.demonstrations)
    if config.shuffle_demonstrations:
        child_random(seed, "demonstrations", demonstration_order(index, config, seed)).shuffle(context)
    return tuple(context)


def demonstration_order(index: int, config: FinetuningConfig, seed: int) -> int:
    """Which order of the demonstrations the pair at `index` is shown: with packing one of `ORDERS`, else its own."""
    if config.packing == "none" or not config.shuffle_demonstrations:
        return index if config.shuffle_demonstrations else 0
    return child_random(seed, "demonstration order", index).randrange(ORDERS)


def show_row(row: TrainingRow, tokenizer: PromptTokenizer) -> str:
    """A row as text, special tokens included, what the model learns between « and »."""
    prompt, answer = (
        tokenizer.tokenizer.decode(list(ids), skip_special_tokens=False) for ids in (row.prompt_ids, row.answer_ids)
    )
    return f"{prompt}«{answer}»"
