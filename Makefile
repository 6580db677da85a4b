# Everything from a fresh clone, with nothing but Python 3.11 or later and make:
#   make demo    a day of orders through two imitated shops, with a verdict
#   make test    the tests
# Another Python: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Bytecode is compiled once here; without it every process that a flow needs starts seconds later.
unexport PYTHONDONTWRITEBYTECODE
# Settings of a developer's shell that would change what is installed where.
unexport PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV VIRTUAL_ENV
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help install demo up doctor test check lint format bench audit faults beyond forms screenshots clean

help: ## Show what there is
	@grep -E '^[a-z]+:.*## ' Makefile | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

install: $(STAMP) ## Make the environment with the locked packages

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "make: $(PYTHON) is not there: install Python 3.11 or later, or name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $$($(PYTHON) --version 2>&1) is too old: onhand needs 3.11 or later, name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { echo "make: $(PYTHON) cannot make environments: install its venv module (python3-venv)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV): about a minute, once ..."
	@$(BIN)/python -m pip install --quiet --compile --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q -j 0 onhand flows tasks inventory adapters expectations
	@touch $@
	@echo "Installed."

demo: $(STAMP) ## Trade a day of real orders and print the verdict
	@$(BIN)/onhand demo

up: $(STAMP) ## Start everything on this machine, until Ctrl-C
	@$(BIN)/onhand up

doctor: $(STAMP) ## Check the installation
	@$(BIN)/onhand doctor

# Two files at a time, as there are two cores on the machine that the time limit is for. ARGS="-n 0" runs them one by one.
test: $(STAMP) ## Run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(STAMP) ## Style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

check: lint test ## Style, types and tests

format: $(STAMP) ## Put the sources into the common form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# ARGS="gate stack" measures these alone.
bench: $(STAMP) ## Measure, beside the floor of the same run
	@$(BIN)/python -m benchmarks $(ARGS)

faults: $(STAMP) ## Break every part of a running stack while it trades, and measure (20 minutes, as root)
	@$(BIN)/python tests/end_to_end/break_everything.py $(ARGS)

# ADVISORIES: a folder of advisories in OSV's form, one JSON file each; without one nothing is said of vulnerabilities.
audit: $(STAMP) ## Check the locked packages: pins, hashes, licences, advisories
	@$(BIN)/python tests/unit/dependency_audit.py $(if $(ADVISORIES),--advisories "$(ADVISORIES)")

beyond: $(STAMP) ## Trade on several Prefect servers, workers and publishers, and kill one of each (10 minutes)
	@$(BIN)/python tests/end_to_end/beyond_one_machine.py $(ARGS)

forms: $(STAMP) ## Start every deployment once from the Prefect UI, in Chromium
	@$(BIN)/python tests/end_to_end/start_every_deployment.py

screenshots: $(STAMP) ## Take the pictures of docs/images, with Chromium
	@$(BIN)/python tests/end_to_end/take_screenshots.py

clean: ## Remove the environment, the data and the caches
	@rm -rf $(VENV) .onhand .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
