# Every target works in .venv at the project's root and sets it up first.
PYTHON ?= python3
VENV := .venv
# The tests that start engines and whole tables run beside the others, in a process of their own.
HEAVY := tests/benchmarks tests/models tests/training tests/table
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TABLE ?= table_main ablation_filters ablation_temperature scaling icl_vs_finetune s3_studies

.DEFAULT_GOAL := help
.PHONY: help install demo test check sweep micro-benchmark table bench check-wheel clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(STAMP): pyproject.toml scripts/install.sh
	PYTHON="$(PYTHON)" scripts/install.sh $(VENV)
	@touch $@

install: $(STAMP)  ## make .venv with everything that the demo and the tests need

demo: $(STAMP)  ## the main job on the bundled model: one classification and one generation task
	$(BIN)/python -m selfguide.main --multirun hydra/launcher=basic +experiment=demo

test: $(STAMP)  ## style, types and all tests
	$(BIN)/ruff check .
	$(BIN)/mypy
	@$(BIN)/python -m pytest $(HEAVY) > $(VENV)/.heavy.log 2>&1 & heavy=$$!; trap "kill $$heavy" INT TERM; \
	$(BIN)/python -m pytest $(addprefix --ignore=,$(HEAVY)); rest=$$?; \
	wait $$heavy; other=$$?; cat $(VENV)/.heavy.log; exit $$((rest | other))

check: $(STAMP)  ## style and types alone
	$(BIN)/ruff check .
	$(BIN)/mypy

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

check-wheel: $(STAMP)  ## the wheel alone, installed from the registry into an environment of its own, runs the main job
	PYTHON=$(BIN)/python scripts/check_wheel.sh

clean:  ## remove build products (never runs, data or the environment)
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
