# make demo: set up and run the main job on the text that is here. make test: set up and pass every test.
.PHONY: help setup demo lint quick check test soak fix docs clients clean
.DEFAULT_GOAL := help

BIN := .venv/bin
# A process for each core, each taking whole files, in order: the long ones come first.
SEVERAL := -n auto --dist loadfile --no-loadscope-reorder

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

setup: .venv/.stamp  ## the virtual environment, once

.venv/.stamp: pyproject.toml constraints.txt scripts/setup.sh
	@scripts/setup.sh

demo: setup  ## prepare, train, evaluate, export and report on examples/texts, in about five minutes
	@$(BIN)/gnomon train examples/demo.json

lint: setup
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@said=$$($(BIN)/lint-imports --no-logo) || { echo "$$said"; exit 1; }
	@$(BIN)/pyright --pythonpath $(BIN)/python --level error

quick: setup
	@$(BIN)/pytest -q $(SEVERAL) tests/unit tests/property

check: setup  ## the quick half: format, lint, types, arrows, unit and property tests
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint quick

test: setup clients lint quick  ## everything
	@$(BIN)/pytest -q tests/faults tests/integration tests/parity

soak: setup clients  ## the long form of the tests that kill, crash and mutate: hours
	@GNOMON_SOAK=1 GNOMON_KILLS=200 GNOMON_HOSTILE=50000 $(BIN)/pytest -q -s --timeout=14400 tests/faults tests/integration

clients:
	@scripts/install-llama-cpp.sh

fix: setup  ## format, and mend what can be mended
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

docs: setup  ## write docs/reference from the code
	@$(BIN)/python scripts/make_docs.py

clean:  ## remove what tools left behind; runs, datasets and .venv stay
	@rm -rf .pytest_cache .ruff_cache .hypothesis build *.egg-info && find . -name __pycache__ -not -path './.venv/*' -exec rm -rf {} +
