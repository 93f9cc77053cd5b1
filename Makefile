# Needs Python 3.10 to 3.13, make and the package registries. Everything goes into this folder.
PYTHON ?= python3
PORT ?= 3000
VENV := .venv
BIN := $(VENV)/bin
export UV_PYTHON_DOWNLOADS := never
export FILE
ARGS ?=
PARALLEL := --numprocesses 3 --dist loadfile --no-loadscope-reorder
INSTALLED := $(VENV)/.installed
LOCK = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

.PHONY: help demo dev check test coverage lint fix bench docs backup restore lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(INSTALLED) ## run the whole pipeline on the sandbox: fake sheet, TikTok and Supabase
	@$(BIN)/python -m dagster_tiktok.sandbox.demo

dev: $(INSTALLED) ## serve the Dagster UI on port 3000 (or PORT=) with the sandbox, until Ctrl-C
	@$(BIN)/python -m dagster_tiktok.sandbox.dev $(PORT)

check: lint ## run the linters, the type checker and the fast tests, in under a minute
	@$(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadfile -m "not slow and not node and not postgres" $(ARGS)

test: $(INSTALLED) ## run every test, or those that ARGS="-k breaker" selects
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

coverage: $(INSTALLED) ## run every test and print the coverage in percent
	@$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term:skip-covered $(ARGS)

lint: $(INSTALLED) ## run the linters and the type checker
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

fix: $(INSTALLED) ## apply the fixes and the format of the linter
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(INSTALLED) ## run the benchmarks
	@$(BIN)/python -m benchmarks

docs: $(INSTALLED) ## generate docs/schema.md and docs/cli.md
	@$(BIN)/python -m tools.schema_docs
	@$(BIN)/python -m tools.cli_docs

backup: $(INSTALLED) ## back up the database at SUPABASE_DB_URL into backups/ (or FILE=)
	@$(BIN)/dagster-tiktok backup $${FILE:+--file "$$FILE"}

restore: $(INSTALLED) ## fill its empty tables from FILE=; REPLACE=yes removes their rows first
	@$(if $(FILE),,$(error which backup? make restore FILE=backups/....dump))
	@$(BIN)/dagster-tiktok restore "$$FILE" $(if $(filter yes,$(REPLACE)),--replace)

lock: $(INSTALLED) ## pin the dependencies again, with hashes
	$(LOCK) --all-extras pyproject.toml --output-file requirements.lock
	echo uv | $(LOCK) - --output-file requirements-uv.lock

clean: ## remove what the other targets created
	rm -rf $(VENV) .sandbox .dagster .cache .coverage .coverage.*

# uv installs from the lock; pip installs uv, both with hashes. The marker is written last, so an
# interrupted install is repeated.
$(INSTALLED): requirements.lock requirements-uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else f"Python 3.10 to 3.13 is needed, this is {v[0]}.{v[1]}: set PYTHON=python3.12, say")'
	@echo "Installing into $(VENV) (once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@
