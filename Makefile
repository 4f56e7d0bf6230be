# Every target sets up what it needs. Two commands from a fresh clone: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
KEEP   ?=
ARGS   ?=
FUZZ_SECONDS ?= 60

.PHONY: help setup demo test bench fuzz check lock generate clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 18

setup: $(VENV)/.ready ## make .venv with the command .venv/bin/prodsprint
	@echo "ready: $(BIN)/prodsprint"

$(VENV)/.ready: requirements.lock pyproject.toml .ci/venv
	@PYTHON=$(PYTHON) VENV=$(VENV) .ci/venv requirements.lock
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock pyproject.toml .ci/venv
	@PYTHON=$(PYTHON) VENV=$(VENV) .ci/venv requirements-dev.lock
	@.ci/parts
	@touch $(VENV)/.ready $@

demo: setup ## the whole story on real parts: commits, canaries, rollbacks (KEEP=1 leaves it running)
	@$(BIN)/prodsprint demo $(if $(KEEP),--keep) $(ARGS)

test: $(VENV)/.ready-dev ## every test
	@$(BIN)/python -m pytest $(ARGS)

bench: $(VENV)/.ready-dev ## the benchmark table
	@$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(VENV)/.ready-fuzz ## coverage-guided fuzzing, FUZZ_SECONDS=60 a target; what it finds is in build/fuzz
	@$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS) $(ARGS)

$(VENV)/.ready-fuzz: requirements-fuzz.lock $(VENV)/.ready-dev
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.lock
	@touch $@

check: $(VENV)/.ready-dev ## lint, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports

generate: $(VENV)/.ready-dev ## rewrite what is generated: gRPC code, schema, references
	$(BIN)/python tests/generate.py

lock: $(VENV)/.ready-dev ## pin what is installed, with hashes and without addresses
	.ci/lock

clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
