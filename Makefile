# Every target works in .venv at the project's root and sets it up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TABLE ?= selfguide_main improvements table_main ablation_filters ablation_temperature scaling icl_vs_finetune s3_table2 llm2llm_main zerogen progen self_icl

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all check mutants sweep micro-benchmark table bench gpu-check docs check-wheel clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(STAMP): pyproject.toml scripts/install.sh
	PYTHON="$(PYTHON)" scripts/install.sh $(VENV)
	@touch $@

install: $(STAMP)  ## make .venv with everything that the demo and the tests need

demo: $(STAMP)  ## the main job on the bundled model: one classification and one generation task
	$(BIN)/python -m selfguide.main --multirun hydra/launcher=basic +experiment=demo

# The tests that start vLLM run beside the others, in a process of their own that starts it once.
define tests
	@$(BIN)/python -m pytest -m "vllm and ($(1))" $$(grep -rl vllm tests --include='test_*.py') > $(VENV)/.vllm.log 2>&1 & \
	vllm=$$!; trap "kill $$vllm" INT TERM; \
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal -m "not vllm and ($(1))"; rest=$$?; \
	wait $$vllm; other=$$?; cat $(VENV)/.vllm.log; exit $$((rest | other))
endef

test: check  ## style, types and all tests but those of the slow tier
	$(call tests,not slow)

test-all: check  ## style, types and all tests
	$(call tests,slow or not slow)

check: $(STAMP)  ## style and types alone
	$(BIN)/ruff check .
	$(BIN)/mypy

mutants: $(STAMP)  ## which of the small faults in tests/mutants.jsonl the tests notice
	$(BIN)/python scripts/mutants.py

sweep: $(STAMP)  ## one setting for all bundled validation tasks: searched, frozen, recorded in sweeps/one_parameter_micro/
	$(BIN)/python -m selfguide.main --multirun +sweep=one_parameter_micro

micro-benchmark: $(STAMP)  ## all bundled tasks, three seeds; writes experiments/micro/
	$(BIN)/python -m benchmarks.micro.benchmark

# Each table by two processes that take turns, one thread each: two cores are used without waiting for each other.
table: $(STAMP)  ## the tables of experiments/ on the bundled model, or one: make table TABLE=table_main
	@status=0; for table in $(TABLE); do \
		OMP_NUM_THREADS=1 $(BIN)/selfguide table +table=$$table output=runs/tables/second >/dev/null 2>&1 & \
		OMP_NUM_THREADS=1 $(BIN)/selfguide table +table=$$table || status=$$?; wait; \
	done; exit $$status

bench: $(STAMP)  ## speed: the reference's schedule, ours, and bare vLLM; writes experiments/bench/
	$(BIN)/python -m benchmarks.speed

gpu-check: $(STAMP)  ## what must hold on GPUs, measured memory beside the forecast: make gpu-check SIZE=1b STEPS="agree memory"
	$(BIN)/python -m benchmarks.gpu $(STEPS) --size $(or $(SIZE),1b)

docs: $(STAMP)  ## the documentation site, into build/site; links are checked
	$(BIN)/mkdocs build

check-wheel: $(STAMP)  ## the wheel alone, installed from the registry into an environment of its own, runs the main job
	PYTHON=$(BIN)/python scripts/check_wheel.sh

clean:  ## remove build products (never runs, data or the environment)
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
