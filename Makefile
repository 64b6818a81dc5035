# IRIA News: every command works from a clean clone. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help install run demo bench test test-sqlite test-postgresql check format lock

help: ## list these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

$(STAMP): requirements-dev.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

install: $(STAMP) ## make the virtual environment from the lock file

run: $(STAMP) ## start the whole service with a demo newsroom; Ctrl-C stops it
	@exec $(BIN)/python -m iria_news.supervisor

demo: $(STAMP) ## play the main job in a scratch folder; DEMO_KILL=1 kills a worker on the way
	@$(BIN)/python -m mailer.demo

test: test-sqlite test-postgresql ## run the whole test suite on both databases

test-sqlite: $(STAMP)
	$(PYTEST) -n 2 --dist worksteal

test-postgresql: $(STAMP)
	$(PYTEST) -n 2 --dist worksteal --db=postgresql -m "not journey and not browser"

bench: $(STAMP) ## measure sending against its references; needs smtp-source of Postfix
	@$(BIN)/python -m benchmarks.throughput

check: $(STAMP) ## format, lint, types, import direction, migrations, production settings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	.ci/check-deploy
	.ci/check-locks

format: $(STAMP) ## put the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## compile the lock files anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra postgres pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group dev --extra postgres pyproject.toml -o requirements-dev.lock
