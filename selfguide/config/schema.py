"""The schema of the configuration. The values and what they mean are in `conf/`, commented.

No value lives here (every field is MISSING), so there is one source of defaults. The dataclasses
are not frozen because OmegaConf would make the configuration read-only before it is composed.
"""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from selfguide.config.budget import BudgetConfig
from selfguide.config.builtin import FILTERS, METRICS, SOURCES, TRACKERS
from selfguide.config.curation import CurationConfig
from selfguide.config.identity import CHOICE, MODEL, NOTHING, OUTSIDE, PER_RUN, REPORT, TASK
from selfguide.config.knobs import Extensible, knob
from selfguide.config.loop import MethodConfig
from selfguide.config.preference import PreferenceConfig
from selfguide.config.serving import ATTENTION, EngineConfig, ModelConfig
from selfguide.config.students import StudentConfig
from selfguide.config.sweep import SweepConfig

FAMILIES = ("auto", "classification", "generation")
EXTRACTIONS = ("exact", "first_line", "last_occurrence", "reference")


@dataclass
class HubConfig:
    """A Hugging Face dataset as a task (`task=hub`): where it is and what its columns mean."""

    path: str | None = None
    name: str | None = None
    revision: str | None = None
    split: str | None = None
    train_split: str | None = None
    input_template: str | None = None  # e.g. "Premise: {premise}\nHypothesis: {hypothesis}"
    output_column: str | None = None
    output_names: dict[str, str] = field(default_factory=dict)  # raw value -> label text
    id_column: str | None = None


@dataclass
class TaskConfig(Extensible):
    """One task. `labels` may be null (inferred). Any type is taken so that `[yes, no]` is caught."""

    name: str = MISSING
    source: str = knob(registry=SOURCES)
    id: str | None = None  # sni: task190 or the file's stem
    path: str | None = None  # json: the user's file
    instruction: str | None = None  # hub, or to replace a file's own
    demonstrations: list[dict[str, str]] | None = None  # hub, or to replace a file's own
    family: str = knob(one_of=FAMILIES, default="auto")
    labels: list[Any] | None = None
    metric: Any = knob(one_of=("auto",), registry=METRICS, default="auto")
    label_extraction: str = knob(one_of=EXTRACTIONS, default="first_line")
    noise_terms: list[str] = field(default_factory=list)
    context_until: str | None = None  # what stands before it in an input is its fixed part
    inputs: Any = None  # unlabelled inputs of the user's: a .txt, .json or .jsonl file, or a list of texts
    num_demonstrations: int | None = knob(ge=0, default=None)
    demonstration_choice: str = knob(one_of=("first", "seeded"), default="first")
    group: str | None = knob(one_of=("validation", "test"), default=None)  # which half of the paper's protocol
    hub: HubConfig = field(default_factory=HubConfig)


@dataclass
class DataConfig:
    """Where gold data comes from and how it is split. Never seen by synthesis."""

    root: str | None = MISSING
    cache: str = MISSING
    url: str = MISSING
    timeout_s: float = knob(gt=0)
    retries: int = knob(ge=0)
    split: str = knob(one_of=("seeded", "ids", "reference"))
    split_path: str | None = MISSING
    validation_fraction: float = knob(gt=0, lt=1)
    split_seed: int = knob(ge=0)


@dataclass
class TemperatureConfig:
    """The two sampling temperatures of the method."""

    input: float | None = knob(ge=0, le=2)
    output: float = knob(ge=0, le=2)


@dataclass
class NeighboursConfig:
    """What suits the model that writes, for the presets of other papers: they take their own knobs from here."""

    show_demonstrations: bool = knob(affects=NOTHING)
    open_quote: bool = knob(affects=NOTHING)
    min_words: int = knob(ge=0, affects=NOTHING)


@dataclass
class GenerationConfig:
    """Step 1: new inputs."""

    schedule: str = knob(one_of=("rounds", "streaming"))
    rounds: int = knob(ge=1)
    prompts_per_round: int = knob(ge=1)
    target: int | None = knob(ge=1)
    max_drafts: int = knob(ge=0)
    label_conditioning: bool = MISSING
    show_outputs: bool = MISSING
    top_k: int = knob(ge=0)
    top_p: float = knob(gt=0, le=1)
    max_new_tokens: int | None = knob(ge=1)
    context_cutoff: int = knob(ge=16)
    neighbours: NeighboursConfig = field(default_factory=NeighboursConfig)
    max_in_flight: int = knob(ge=1)


@dataclass
class FiltersConfig:
    """Steps 2 and 4: which synthetic texts are dropped."""

    input_length: str = knob(one_of=("auto", "on", "off"), affects={"inputs", "proposals"})
    output_length: str = knob(one_of=("auto", "on", "off"), affects={"dataset"})
    length_sigmas: float = knob(gt=0)
    length_floor: float = knob(ge=0)
    length_fallback: float = knob(gt=0)
    noise: bool = MISSING
    noise_rule: str = knob(one_of=("words", "reference"))
    noise_terms: list[str] = MISSING
    duplicates: bool = knob(affects={"inputs", "proposals"})
    near_duplicates: float | None = knob(gt=0, le=1, affects={"inputs", "proposals"})
    strip_quotes: bool = MISSING
    extra: list[Any] = knob(registry=FILTERS)
    decontaminate: str = knob(one_of=("report", "drop"), affects={"dataset"})


@dataclass
class AnnotationConfig:
    """Step 3: outputs for the accepted inputs, by few-shot prompting and a vote."""

    samples: int = knob(ge=1, affects={"dataset"})
    best_of: int = knob(ge=1, affects={"outputs"})
    top_k: int = knob(ge=0, affects={"outputs"})
    top_p: float = knob(gt=0, le=1, affects={"outputs"})
    max_new_tokens: int | None = knob(ge=1, affects={"outputs"})
    vote_on: str = knob(one_of=("answers", "texts"), affects={"dataset"})
    min_share: float = knob(ge=0, le=1, affects={"dataset"})
    share_of: str = knob(one_of=("requested", "survivors"), affects={"dataset"})
    conditioning_label_weight: int = knob(ge=0, affects={"dataset"})
    annotator: str = knob(one_of=("base", "few_shot_finetuned"), affects={CHOICE})
    balance: str = knob(one_of=("downsample", "oversample", "off"), affects={"dataset"})
    max_rows: int | None = knob(ge=1, affects={"dataset"})
    batch: int = knob(ge=1, affects=NOTHING)


@dataclass
class FinetuningConfig:
    """Step 5: the same model on its own data."""

    kind: str = knob(one_of=("lora", "full", "none"))
    objective: str = knob(one_of=("sft", "dpo", "orpo"), affects={"preference"})
    preference: PreferenceConfig = knob(affects={"preference"})
    epochs: int = knob(ge=1, affects={CHOICE})
    max_epochs: int = knob(ge=1)
    learning_rate: float = knob(gt=0)
    schedule: str = knob(one_of=("linear", "cosine", "constant"))
    warmup_fraction: float = knob(ge=0, lt=1)
    weight_decay: float = knob(ge=0)
    max_grad_norm: float = knob(gt=0)
    batch_size: int = knob(ge=1)
    micro_batch_size: int = knob(ge=1, affects=NOTHING)
    max_length: int = knob(ge=16)
    over_length: str = knob(one_of=("drop", "error"), affects={CHOICE})
    shuffle_demonstrations: bool = MISSING
    demonstration_copies: int = knob(ge=1, affects={CHOICE})
    added_demonstrations: int = knob(ge=0, affects={CHOICE})
    rank: int = knob(ge=1)
    alpha: float = knob(gt=0)
    dropout: float = knob(ge=0, lt=1)
    target_modules: str = MISSING
    packing: str = knob(one_of=("prefix", "none"))
    dtype: str = knob(one_of=("auto", "float32", "bfloat16", "mixed"))
    master_weights: str = knob(one_of=("float32", "stochastic_rounding", "none"))
    optimizer: str = knob(one_of=("adamw", "adamw_8bit"))
    gradient_checkpointing: bool | None = knob(affects=NOTHING)
    attention: str = knob(one_of=ATTENTION, affects=NOTHING)
    quantization: str = knob(one_of=("none", "4bit"))
    processes: int = knob(ge=1, affects=NOTHING)
    sharding: str = knob(one_of=("none", "fsdp"), affects=NOTHING)
    save_every_s: float = knob(gt=0, affects=NOTHING)


@dataclass
class EvaluationConfig:
    """Step 6: base and tuned model on gold instances, same prompts, greedy."""

    split: str = knob(one_of=("validation", "test"), affects={CHOICE}, role=PER_RUN)
    limit: int | None = knob(ge=1, affects={CHOICE}, role=PER_RUN)
    max_prompt_tokens: int | None = knob(ge=16, affects={CHOICE})
    max_new_tokens: int = knob(ge=1)
    decoding: str = knob(one_of=("free", "constrained"))
    label_scoring: bool = knob(affects={REPORT})
    bootstrap: int = knob(ge=100, affects={REPORT})
    confidence: float = knob(gt=0.5, lt=1, affects={REPORT})
    controls: bool = knob(affects={REPORT})
    epochs: str = knob(one_of=("chosen", "all"), affects={REPORT})
    canary: bool = knob(affects={REPORT})
    canary_tolerance: float | None = knob(gt=0, affects={REPORT})
    batch: int = knob(ge=1, affects=NOTHING)


@dataclass
class TeacherConfig:
    """The model that makes the data. By default the student itself."""

    kind: str = knob(one_of=("self", "other"))
    model: ModelConfig | None = knob(role=MODEL)
    engine: EngineConfig | None = knob(role=MODEL)


@dataclass
class StoreConfig:
    """Where finished stages are kept for every later run."""

    root: str = MISSING
    lock_timeout_s: float = knob(gt=0)
    damaged: str = knob(one_of=("recompute", "error"), affects=NOTHING)
    keep: str = knob(one_of=("adapters", "evaluated", "all"), affects=NOTHING)


@dataclass
class TrackingConfig(Extensible):
    """Who else is told about a run."""

    kind: str = knob(one_of=("none",), registry=TRACKERS)
    project: str = MISSING
    entity: str | None = MISSING
    mode: str = knob(one_of=("online", "offline", "disabled"))
    group: str | None = MISSING
    tags: list[str] = MISSING
    folder: str | None = MISSING
    samples: int = knob(ge=0)
    predictions: bool = MISSING
    dataset: bool = MISSING
    adapter: bool = MISSING


@dataclass
class ExtrasConfig:
    """What is said of a run beside its result."""

    tags: list[str] = MISSING
    print_config: bool = MISSING


@dataclass
class ForecastConfig:
    """How large the small round of `selfguide plan` is."""

    proposals: int = knob(ge=2)
    annotated: int = knob(ge=2)
    trained: int = knob(ge=1)
    steps: int = knob(ge=2)
    draws: int = knob(ge=100)


@dataclass
class RunConfig:
    """The whole configuration of one run."""

    task: TaskConfig = knob(role=TASK)
    model: ModelConfig = knob(role=MODEL)
    engine: EngineConfig = knob(role=MODEL)
    temperature: TemperatureConfig = MISSING
    generation: GenerationConfig = MISSING
    filters: FiltersConfig = MISSING
    annotation: AnnotationConfig = MISSING
    finetuning: FinetuningConfig = MISSING
    evaluation: EvaluationConfig = MISSING
    method: MethodConfig = MISSING
    teacher: TeacherConfig = MISSING
    student: StudentConfig = MISSING
    budget: BudgetConfig = MISSING
    curation: CurationConfig = MISSING
    data: DataConfig = knob(role=TASK)
    store: StoreConfig = knob(role=OUTSIDE)
    tracking: TrackingConfig = knob(role=OUTSIDE)
    extras: ExtrasConfig = knob(role=OUTSIDE)
    protocol: str = knob(one_of=("default", "paper"))
    seed: int = knob(ge=0, role=PER_RUN)
    frozen_config: str | None = knob(default=None, role=PER_RUN)
    sweep: SweepConfig | None = knob(default=None, role=OUTSIDE)
    plan: ForecastConfig | None = knob(default=None, role=OUTSIDE)
