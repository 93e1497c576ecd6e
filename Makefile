# One word for each habit. Only Python 3.11 with venv is taken for granted.

PYTHON ?= python3
PORT ?= 5000
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
FLASK := $(BIN)/flask --app wsgi
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# One process per core, and at least two: a browser test waits more than it computes.
JOBS ?= 2

.PHONY: help run test check format bench assets lock

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 16

run: $(RUN_STAMP) assets ## install what is missing, prepare the database, serve on this machine (PORT=5000)
	@exec env PORT=$(PORT) $(FLASK) serve

test: $(DEV_STAMP) assets ## every test, on SQLite and PostgreSQL, browser included where Chromium is found
	$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

check: $(DEV_STAMP) ## format, lint, types, layers, templates
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/djlint templates --lint --quiet

format: $(DEV_STAMP) ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV_STAMP) ## ratios against the bare work, over 100 000 reservations, on both databases (ARGS=requests, sweep or slots)
	$(BIN)/python -m tests.bench $(ARGS)

assets: $(RUN_STAMP) ## fetch the browser's locked packages into static/vendor
	@$(BIN)/python tools/assets.py

lock: $(DEV_STAMP) ## pin again what is installed now
	$(BIN)/python -m pip freeze | sort -f > requirements.lock

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements.txt requirements.lock | $(BIN)/python
	$(PIP) -r requirements.txt
	@touch $@

$(DEV_STAMP): requirements-dev.txt $(RUN_STAMP)
	$(PIP) -r requirements-dev.txt
	@touch $@
