# Everything a person needs is behind these targets; each one sets up what it uses.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.tidemill-installed

.PHONY: help setup demo test proof check screenshots lock clean

help:            ## this list
	@grep -E '^[a-z]+: .*##|^[a-z]+:  *##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: $(STAMP)  ## make .venv with the pinned, hash-checked packages and the tidemill command

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "tidemill needs Python 3.11 or newer; name one with: make setup PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .ci/uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup      ## the whole stack end to end: sensors, stream, lake, model, scheduled predictions
	$(BIN)/tidemill demo

test: setup      ## every test: real Kafka, Postgres, Faust, Streamlit, a browser
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 2

proof: setup     ## kills, zombies, rebalances, power cuts, poison with full counts: nothing lost, nothing counted twice
	$(BIN)/python -m tests.fault.proof

check: setup     ## seconds: format, lint, types, imports, unit, property and architecture tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	TIDEMILL_TEST_EFFORT=0.1 $(BIN)/python -m pytest -q --numprocesses auto --dist worksteal tests/unit tests/property tests/architecture

screenshots: setup ## take the pictures of docs/images anew, in a headless browser
	SCREENSHOTS=docs/images $(BIN)/python -m pytest -q tests/e2e/test_pages_browser.py

lock: setup      ## resolve requirements.lock and .ci/uv.lock again from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --group dev --output-file requirements.lock pyproject.toml
	echo 'uv' | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --output-file .ci/uv.lock -

clean:           ## remove the environment and the caches; stacks are ended by `tidemill down`
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
