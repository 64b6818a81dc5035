# IRIA News: every command works from a clean clone. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest

# Read by staff, operators and programs, in English.
NOT_FOR_READERS := .venv data build tests 'templates/admin/*' 'templates/unfold/*' 'templates/inbox/*' 'templates/email/approval/*'

.DEFAULT_GOAL := help
.PHONY: help install run demo bench bench-signups bench-rtt bench-scale bench-freeze bench-imports bench-hosts soak test test-sqlite test-postgresql faults months check format messages lock

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
	$(PYTEST) -n 2 --dist worksteal -m "not storm"

test-postgresql: $(STAMP)
	$(PYTEST) -n 2 --dist worksteal --db=postgresql -m "not journey and not browser and not storm"

faults: $(STAMP) ## the fault tests in full, on both databases; SEED=N repeats a run
	$(PYTEST) tests/faults -m storm $(if $(SEED),--seed=$(SEED))
	$(PYTEST) tests/faults -m storm --db=postgresql $(if $(SEED),--seed=$(SEED))

months: $(STAMP) ## months of simulated editions against a model, on both databases: an hour or more
	$(PYTEST) tests/mailer/test_properties_of_editions.py -m storm
	$(PYTEST) tests/mailer/test_properties_of_editions.py -m storm --db=postgresql

bench: $(STAMP) ## measure sending and sign-ups against references; needs smtp-source of Postfix
	@$(BIN)/python -m benchmarks.throughput
	@$(BIN)/python -m benchmarks.signups

bench-signups: $(STAMP) ## sign-ups per second against a bare Django view with one insert
	@$(BIN)/python -m benchmarks.signups

bench-rtt: $(STAMP) ## the same over a line with a round trip of 20 ms
	@$(BIN)/python -m benchmarks.throughput --rtt 20 --recipients 3000 --rounds 3

bench-scale: $(STAMP) ## what a recipient costs among 10,000 and among 1,000,000
	@$(BIN)/python -m benchmarks.scale

bench-freeze: $(STAMP) ## freeze 10,000 and 1,000,000 readers with a history, on both databases
	@$(BIN)/python -m benchmarks.freezing

bench-imports: $(STAMP) ## import and export a million readers on PostgreSQL, 100,000 on SQLite
	@$(BIN)/python -m benchmarks.imports

bench-hosts: $(STAMP) ## workers on two hosts, one of which loses its network
	@$(BIN)/python -m benchmarks.two_hosts

soak: $(STAMP) ## a million recipients while the service is hurt and used; see docs/benchmarks.md
	@$(BIN)/python -m benchmarks.soak

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

messages: $(STAMP) ## collect what readers are told, for each language, and compile it (needs GNU gettext)
	$(BIN)/python manage.py makemessages --all --no-obsolete --add-location file $(addprefix --ignore ,$(NOT_FOR_READERS))
	$(BIN)/python manage.py compilemessages --ignore .venv --ignore build --ignore data

lock: ## compile the lock files anew (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --extra postgres pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group dev --extra postgres pyproject.toml -o requirements-dev.lock
