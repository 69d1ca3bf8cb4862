# The commands of this project. `make demo` shows it work, `make test` is what a laptop can check.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
PYTHON ?= python3
VENV := .venv
TARGET := $(or $(CARGO_TARGET_DIR),target)
LOG := $(TARGET)/test.log
# The emulator is a workspace of its own.
EMULATOR := --manifest-path tests/databricks-emulator/Cargo.toml --target-dir $(abspath $(TARGET))/emulator

.PHONY: help demo walkthrough test bench bench-views fuzz lint kill-test judge judges programs emulator emulator-test

help: ## This list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 20

demo: ## Sample data into a Delta table, before your eyes; ends by itself
	$(CARGO) build --release -p lakefeed -p lakefeed-plugin-delta -p lakefeed-plugin-ndjson -p first-row
	$(TARGET)/release/first-row

walkthrough: ## A workspace set up and written to in both modes, against the emulator; builds it first
	$(CARGO) run --release -p databricks-local

test: programs judges $(VENV)/.clients ## Everything that a laptop can check; says by name what it could not
	$(CARGO) build --workspace
	$(CARGO) test $(EMULATOR) --no-run
	$(TARGET)/debug/lakefeed plugins stage
	CARGO=$(CARGO) tests/run_all.sh $(LOG) $(EMULATOR)

emulator: ## Databricks on loopback, as a program: target/emulator/release/databricks-emulator
	$(CARGO) build --release $(EMULATOR)

emulator-test: judges $(VENV)/.clients ## The emulator's own tests alone, some of them by the vendor's clients
	$(CARGO) test $(EMULATOR) --no-fail-fast

# ROWS names some rows of the table; LAKEFEED_BENCH_FULL=1 measures the sizes that are published.
bench: programs ## The numbers, with the machine and the commit; judges nothing
	$(CARGO) build --release -p lakefeed -p lakefeed-plugin-delta -p lakefeed-plugin-ndjson -p lakefeed-plugin-zerobus \
	  -p lakefeed-plugin-sql-warehouse -p lakefeed-plugin-databricks-types
	$(CARGO) bench -p lakefeed-tests --bench whole_path -- $(ROWS)
	$(CARGO) bench -p lakefeed-tests --bench databricks -- $(ROWS)
	$(CARGO) bench -p lakefeed-plugin-zerobus --bench body
	$(CARGO) bench -p lakefeed-view
	$(MAKE) bench-views

bench-views: judges ## The three views to Parquet, by lakefeed and by DuckDB
	$(CARGO) build --release -p lakefeed -p lakefeed-sample-data
	@tests/benches/machine.sh
	$(VENV)/bin/python host/view/benches/against_duckdb.py $(TARGET)/release/lakefeed $(TARGET)/release/lakefeed-sample-data

fuzz: ## Each promise of the view engine fed with what a fuzzer finds; FUZZ_SECONDS (60) each
	host/view/fuzz/run.sh "" $${FUZZ_SECONDS:-60}

lint: ## Formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path tests/databricks-emulator/Cargo.toml --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

kill-test: judges ## The host killed 200 times under load; LAKEFEED_KILLS says how often
	$(CARGO) build --workspace
	LAKEFEED_KILLS=$${LAKEFEED_KILLS:-200} $(CARGO) test -p lakefeed-tests --test end_to_end -- --nocapture restart

judge: $(VENV)/.spark ## Every SQL statement of plugins and emulator, judged by Apache Spark; about a minute once built
	CARGO=$(CARGO) PYTHON=$(PYTHON) tests/judges/spark/run.sh

# A PostgreSQL server to start, for the tests of that store. What cannot be installed is said, and the tests that need
# it are skipped by name.
programs:
	@tests/install_programs.sh || echo "some programs cannot be installed; the tests that need them are skipped"

# Programs that read our tables and share no code with us, and another engine for the same views. What cannot be
# installed is said, and the tests that need it are skipped by name.
judges: $(VENV)/.installed tests/judges/node_modules/.installed

$(VENV)/.installed: tests/judges/requirements.txt
	@{ $(PYTHON) -m venv $(VENV) && $(VENV)/bin/pip install --quiet --disable-pip-version-check -r $< && touch $@; } \
	  || echo "the judges of $< cannot be installed; the tests that need them are skipped"

$(VENV)/.clients: tests/databricks-emulator/judges/requirements.txt $(VENV)/.installed
	@{ $(VENV)/bin/pip install --quiet --disable-pip-version-check -r $< && touch $@; } \
	  || echo "the clients of $< cannot be installed; the tests that need them are skipped"

$(VENV)/.spark: tests/judges/spark/requirements.txt
	{ [ -x $(VENV)/bin/python ] || $(PYTHON) -m venv $(VENV); } && $(VENV)/bin/pip install --quiet --disable-pip-version-check -r $< && touch $@

tests/judges/node_modules/.installed: tests/judges/package-lock.json
	@{ cd tests/judges && npm ci --ignore-scripts --silent --no-audit --no-fund && touch node_modules/.installed; } \
	  || echo "the other engine cannot be installed; the tests that need it are skipped"
