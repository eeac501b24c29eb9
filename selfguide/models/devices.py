"""The GPUs of this machine, asked of the driver: this process takes no memory of a device by asking."""

import os
import subprocess
from dataclasses import dataclass
from functools import cache

import psutil

from selfguide.core import child
from selfguide.models.memory import GIB

FIELDS = "index,uuid,memory.total,memory.free,compute_cap,name"
BFLOAT16 = (8, 0)
"""The first compute capability with bfloat16 of its own: on older cards torch emulates it, slowly."""


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU: memory in bytes."""

    name: str
    total: int
    free: int
    capability: tuple[int, int]


def cards() -> list[Card]:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, in its order; empty where the driver's tool is missing."""
    try:
        said = subprocess.run(
            ["nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return visible_cards(said, os.environ.get("CUDA_VISIBLE_DEVICES"))


def visible_cards(said: str, visible: str | None) -> list[Card]:
    """The cards of nvidia-smi's answer, MiB and all, that a value of CUDA_VISIBLE_DEVICES leaves."""
    found: dict[str, Card] = {}
    uuids: dict[str, Card] = {}
    for line in said.splitlines():
        index, uuid, total, free, capability, name = (part.strip() for part in line.split(",", 5))
        try:
            major, _, minor = capability.partition(".")
            card = Card(name, int(total) * 2**20, int(free) * 2**20, (int(major), int(minor)))
        except ValueError:  # "[N/A]": a card that shares the host's memory, or a partitioned one
            continue
        found[index] = uuids[uuid] = card
    if visible is None:
        return list(found.values())
    chosen = []
    for wanted in filter(None, (part.strip() for part in visible.split(","))):
        if wanted in found:
            chosen.append(found[wanted])
        elif matching := [card for uuid, card in uuids.items() if uuid.startswith(wanted)]:
            chosen.append(matching[0])
        else:  # CUDA ignores what follows an unknown one
            break
    return chosen


@cache
def has_bfloat16() -> bool:
    """Whether every GPU here computes in bfloat16 itself."""
    if found := cards():
        return all(card.capability >= BFLOAT16 for card in found)
    import torch

    return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False))


def free_memory(device: str) -> int | None:
    """Bytes that are free on a GPU now; None for others, and where the driver does not say."""
    found = cards() if device.startswith("cuda") else []
    index = int(device.partition(":")[2] or 0)
    return found[index].free if index < len(found) else None


def ledger() -> str:
    """What is held now: by this process, by its children, and on each GPU by whomever."""
    here = psutil.Process()
    held = [f"this process {here.memory_info().rss / GIB:.2f} GiB"]
    below = 0
    for process in here.children(recursive=True):
        try:
            below += process.memory_info().rss
        except psutil.Error:  # it has ended
            continue
    if below:
        held.append(f"its children {below / GIB:.2f} GiB")
    if "host" in child.peaks:
        held.append(f"the largest child so far {child.peaks['host'] / GIB:.2f} GiB")
    for index, card in enumerate(cards()):
        held.append(f"GPU {index} {(card.total - card.free) / GIB:.2f} of {card.total / GIB:.1f} GiB")
    return ", ".join(held)
