# make demo | test | test-all | check | bench | bench-ladder | docs — each makes and uses .venv; a second call is quick.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test test-all check format bench bench-ladder docs clean

help:
	@echo "make demo      train on the built-in eye charts and print where the report is (minutes on two CPU cores)"
	@echo "make test      lint, types, import rules and the quick tests"
	@echo "make test-all  the same with the slow tests"
	@echo "make check     lint, types and import rules only"
	@echo "make bench     measure speed, memory and accuracy against the peers (hours; see benchmarks/README.md)"
	@echo "make bench-ladder  train every detector on the same real data and put them side by side (hours; goes on where it stopped)"
	@echo "make docs      write the generated pages of docs/"

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	@touch $@

demo: $(READY)
	$(BIN)/snellen demo

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell src tests docs benchmarks README.md CONTRIBUTING.md CHANGELOG.md
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not gpu"

test-all: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m "not gpu"

bench: $(READY)
	$(BIN)/python benchmarks/data_index.py
	$(BIN)/python benchmarks/count_syncs.py
	$(BIN)/python benchmarks/detector_speed.py
	$(BIN)/python benchmarks/accuracy.py

bench-ladder: $(READY)
	$(BIN)/python benchmarks/ladder.py --out runs/ladder
	$(BIN)/python benchmarks/ablations.py --out runs/ablations

docs: $(READY)
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
