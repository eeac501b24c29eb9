"""What comes with selfguide, by name: one table for each kind. Others add to them from outside: docs/extending.md."""

from selfguide.config.registry import Entry, Registry

_METHODS = "selfguide.methods"
METHODS = Registry(
    "method.kind",
    "selfguide.methods",
    {
        "selfguide": Entry(f"{_METHODS}.selfguide:run"),
        "zero_shot": Entry(f"{_METHODS}.zero_shot:run", trains=False),
        "few_shot_icl": Entry(f"{_METHODS}.few_shot_icl:run", trains=False),
        "self_icl": Entry(f"{_METHODS}.self_icl:run", "selfguide.config.methods:SelfICLConfig", trains=False),
        "few_shot_finetune": Entry(f"{_METHODS}.few_shot_finetune:run"),
        "gold_finetune": Entry(f"{_METHODS}.gold_finetune:run", "selfguide.config.methods:GoldFinetuneConfig"),
        "rest": Entry(f"{_METHODS}.rest:run", "selfguide.config.methods:RestConfig"),
        "gepa": Entry(f"{_METHODS}.gepa:run", "selfguide.config.methods:GepaConfig", trains=False),
        "loop": Entry(f"{_METHODS}.loop:run", "selfguide.config.loop:LoopConfig"),
    },
    "selfguide.config.loop:MethodConfig",
)
"""`(session) -> MethodResult`."""

ENGINES = Registry(
    "engine.name",
    "selfguide.engines",
    {
        "hf": Entry("selfguide.models.hf:HFEngine.from_config", "selfguide.config.serving:HFEngineConfig"),
        "vllm": Entry("selfguide.models.vllm:VLLMEngine.from_config", "selfguide.config.serving:VLLMEngineConfig"),
        "openai": Entry(
            "selfguide.models.openai:OpenAIEngine.from_config", "selfguide.config.serving:OpenAIEngineConfig", "2"
        ),
    },
    "selfguide.config.serving:EngineConfig",
)
"""`(run configuration) -> Engine`, see `selfguide.models.base`."""

_SCORES = "selfguide.tasks.metrics"
METRICS = Registry(
    "task.metric",
    "selfguide.metrics",
    {
        "exact_match": Entry(f"{_SCORES}:exact_match", title="exact match"),
        "rouge_l": Entry(f"{_SCORES}:rouge_l", title="ROUGE-L"),
        "accuracy": Entry(f"{_SCORES}:accuracy"),
        "token_f1": Entry(f"{_SCORES}:token_f1", title="token F1"),
        "numeric_match": Entry(f"{_SCORES}:numeric_match", title="numeric match"),
        "squad_exact": Entry(f"{_SCORES}:squad_exact", title="squad exact"),
        "rouge_l_char": Entry(f"{_SCORES}:rouge_l_char", title="ROUGE-L (characters)"),
    },
)
"""`(prediction, reference) -> score from 0 to 1`."""

FILTERS = Registry(
    "filters.extra",
    "selfguide.filters",
    {
        "length": Entry("selfguide.synthesis.filters:length"),
        "noise": Entry("selfguide.synthesis.filters:noise"),
    },
)
"""`(task, filters configuration, "input" or "output") -> (text -> reason to drop it or None)`, or None: not judged."""

SOURCES = Registry(
    "task.source",
    "selfguide.task_sources",
    {
        "sni": Entry("selfguide.tasks.sources:sni"),
        "json": Entry("selfguide.tasks.sources:json"),
        "hub": Entry("selfguide.tasks.sources:hub"),
        "micro": Entry("selfguide.tasks.sources:micro"),
    },
    "selfguide.config.schema:TaskConfig",
)
"""`(task configuration, data configuration) -> RawTask`, see `selfguide.tasks.raw`."""

DIAGNOSERS = Registry(
    "method.diagnose.source",
    "selfguide.diagnosers",
    {
        "gold": Entry("selfguide.methods.loop.diagnose:errors"),
        "initial": Entry("selfguide.methods.loop.diagnose:errors"),
        "votes": Entry("selfguide.methods.loop.diagnose:disagreements"),
    },
)
"""`(loop, state, student, round) -> Diagnosis`: the exemplars that the next round makes more of."""

CURATION = Registry(
    "curation.kind",
    "selfguide.curation",
    {
        "confidence": Entry("selfguide.synthesis.curation:reasons_to_drop"),
        "dynamics": Entry("selfguide.synthesis.curation:reasons_to_drop"),
        "judge": Entry("selfguide.synthesis.curation:judged_wrong"),
    },
    "selfguide.config.curation:CurationConfig",
)
"""`(pairs, their qualities, labels, curation configuration) -> a reason to drop, or None, for each pair`."""

STUDENTS = Registry(
    "student.kind",
    "selfguide.students",
    {
        "encoder": Entry("selfguide.methods.student:train_encoder"),
        "encoder_qa": Entry("selfguide.methods.student:train_encoder"),
    },
    "selfguide.config.students:StudentConfig",
)
"""`(session, stage name, pairs, validation pairs) -> Finished[Predictor]` whose info has its `steps`."""

TRACKERS = Registry(
    "tracking.kind",
    "selfguide.trackers",
    {
        "wandb": Entry("selfguide.analysis.tracking.weights_and_biases:WandbTracker"),
        "tensorboard": Entry("selfguide.analysis.tracking.tensorboard:TensorboardTracker"),
    },
    "selfguide.config.schema:TrackingConfig",
)
"""`(run configuration, run folder) -> Tracker`, see `selfguide.analysis.tracking`."""

REGISTRIES = (METHODS, ENGINES, METRICS, FILTERS, SOURCES, DIAGNOSERS, CURATION, STUDENTS, TRACKERS)
NODES = {registry.node: registry for registry in REGISTRIES if registry.schema is not None}
"""Those that choose the implementation of a whole node of the configuration (`method`, `engine`, …)."""
