# make help says what there is. Everything goes into this folder: .venv (Python), .ros (messages) and
# .libero (a simulator, on request).

PYTHON_IN_VENV := .venv/bin/python
SOURCES := dvla_ros test scripts benchmarks launch setup.py

# The sentence reaches the recipe through the environment: quotes in it do no harm.
export INSTRUCTION SYSTEM

# Nodes are started by the hundred: each would compile all that it imports, which takes it twice as long as to start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup build demo libero test lint format clean clean-all

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: ## install what is missing (PYTHON=/path/to/python chooses the Python)
	@PYTHON="$(PYTHON)" bash scripts/setup.sh

build: setup ## build the messages (a part of setup; after a change in msg, srv or action)

demo: setup ## a simulated arm does what a sentence asks (INSTRUCTION="pick up the blue cube" SYSTEM=ud_vla)
	@$(PYTHON_IN_VENV) -m dvla_ros.cli demo $${INSTRUCTION:+--instruction "$$INSTRUCTION"} $${SYSTEM:+--system "$$SYSTEM"}

libero: ## install LIBERO's simulator into .libero, for dvla benchmark-libero (0.6 GB to download, 2 GB on disk)
	@PYTHON="$(PYTHON)" bash scripts/libero.sh

test: ## all tests (ARGS="-k timeline" for a part)
	@PYTHON="$(PYTHON)" bash scripts/setup.sh tests
	@$(PYTHON_IN_VENV) -m pytest -n auto --maxprocesses 4 --max-worker-restart 4 --dist loadscope --no-loadscope-reorder $(ARGS)

lint: setup ## ruff, ruff format and mypy
	$(PYTHON_IN_VENV) -m ruff check $(SOURCES)
	$(PYTHON_IN_VENV) -m ruff format --check $(SOURCES)
	$(PYTHON_IN_VENV) -m mypy

format: setup ## let ruff put the code in order
	$(PYTHON_IN_VENV) -m ruff check --fix $(SOURCES)
	$(PYTHON_IN_VENV) -m ruff format $(SOURCES)

clean: ## remove what was built or measured; keep .venv
	rm -rf .ros build install log demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find dvla_ros test scripts benchmarks launch -name __pycache__ -prune -exec rm -rf {} +

clean-all: clean ## remove .venv and .libero too
	rm -rf .venv .libero
