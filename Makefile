# What one does here. `make help` lists the targets with their comments.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 3
# The tests start hundreds of servers: what Python compiled once is kept, whatever the shell says.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup run test test-peers test-crash test-stress test-fuzz lint fmt bench docs lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: requirements/run.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed (PYTHON=…)" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	@echo '$(CURDIR)/src' > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/poterne.pth"
	@printf '#!%s\nfrom poterne.cli.main import main\nmain()\n' '$(CURDIR)/$(BIN)/python' > $(BIN)/poterne && chmod +x $(BIN)/poterne
	@printf '#!%s\nfrom poterne.sendmail import main\nmain()\n' '$(CURDIR)/$(BIN)/python' > $(BIN)/poterne-sendmail && chmod +x $(BIN)/poterne-sendmail
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

setup: $(VENV)/.dev ## make the environment, with everything to work on the project

run: $(VENV)/.run ## a whole mail world on this machine (poterne lab); Ctrl-C ends it
	$(BIN)/poterne lab

test: $(VENV)/.dev ## the tests; need nothing but Python
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m 'not peers and not crash' tests

test-peers: $(VENV)/.dev ## against swaks, mbsync, curl, fetchmail, Postfix, Dovecot … (see .ci/peers)
	$(BIN)/pytest -m peers tests

test-crash: $(VENV)/.dev ## processes killed at random moments, power lost: nothing acknowledged is lost (ROUNDS=200)
	$(BIN)/pytest -m crash tests

test-stress: $(VENV)/.dev ## random IMAP clients against a model of what they may believe (MINUTES=10, or SEED=n again)
	$(BIN)/python -m tests.stress --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED) --rounds 1)

test-fuzz: $(VENV)/.dev ## the tests that make up their input, with another input each time
	HYPOTHESIS_PROFILE=search $(BIN)/pytest -n $(WORKERS) --dist worksteal -m 'not peers and not crash' $$(grep -rl '@given' tests)

lint: $(VENV)/.dev ## formatting, rules, types, layers
	$(BIN)/ruff format --check src tests bench tools
	$(BIN)/ruff check src tests bench tools
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(VENV)/.dev ## format the code
	$(BIN)/ruff format src tests bench tools
	$(BIN)/ruff check --fix src tests bench tools

bench: $(VENV)/.dev ## speed beside Postfix and Dovecot, in one run (see bench/README.md)
	$(BIN)/python -m bench run --quick

docs: $(VENV)/.dev ## write what is generated: docs/config.md
	$(BIN)/python tools/docs.py

lock: ## lock the dependencies anew, with hashes (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q pyproject.toml -o requirements/run.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q --group dev pyproject.toml -o requirements/dev.lock

clean: ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
