# What CI runs is `make lint test` (.ci/run). Everything is made under .venv and .run.
PYTHON ?= python3
BIN := .venv/bin
export PYTHON

help:    ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

run: .venv/stamp    ## the example services of units/, here, in the foreground (Ctrl-C ends all)
	@tools/run

demo: .venv/stamp    ## the same, played through: a push, a refused push, a crash, a rollback
	@tools/demo

test: .venv/stamp    ## every test; as root also those with cgroups, Debian's daemons and a virtual machine
	@tools/debian
	@$(BIN)/pytest $(PYTEST)

lint: .venv/stamp    ## types, style, layers, house rules
	@$(BIN)/mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pytest -q -p no:cacheprovider tests/test_house.py

fmt: .venv/stamp    ## let ruff format, and mend what it can
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

bench: .venv/stamp    ## measure, and print figures beside their floor
	@$(BIN)/pytest -m bench -s -q --timeout 900 tests/bench/bench_*.py $(PYTEST)

deb: .venv/stamp    ## the Debian package, dist/gitproc_VERSION_all.deb
	@$(BIN)/python tools/deb

soak: .venv/stamp    ## blows against a real machine, as root: make soak ROUNDS=1000 [SEED=N]
	@$(BIN)/python -m tests.faults.soak --rounds $(or $(ROUNDS),100) $(if $(SEED),--seed $(SEED))

histories: .venv/stamp    ## random histories of the core, many: make histories [SEEDS=0:100000] (minutes)
	@for mode in "" crash plan rich rich-crash; do $(BIN)/python -m tests.core.histories $(or $(SEEDS),0:3000) $$mode || exit 1; done
	@for mode in "" rich; do $(BIN)/python -m tests.core.wide $(or $(SEEDS),0:1000) $$mode || exit 1; done
	@HYPOTHESIS_PROFILE=deep $(BIN)/pytest -q --timeout 3600 tests/core/test_state_machine.py

fuzz: .venv/stamp    ## fuzz what reads files and messages, guided by coverage: make fuzz [SECONDS=60] (each of five targets)
	@$(BIN)/python -m pip install -q atheris
	@mkdir -p .run/fuzz
	@for target in unit calendar environment notify span; do \
		(cd .run/fuzz && PYTHONPATH="$(CURDIR)" "$(CURDIR)/$(BIN)/python" -m tests.units.guided_fuzz $$target \
			-max_total_time=$(or $(SECONDS),60) -max_len=400) || exit 1; \
	done

mutants: .venv/stamp    ## prove that the tests of the core notice faults, one by one (minutes)
	@$(BIN)/python -m tests.core.mutants

dropped: .venv/stamp    ## prove that the tests of directives notice when one is left out, as root: make dropped [ONLY="Socket Nice"] (an hour)
	@$(BIN)/python -m tests.dropped $(ONLY)

vm:    ## the virtual machine's image for tests under systemd (root; once, about a minute)
	@tools/debian vm

clean:    ## remove what make made (not the virtual machine's image)
	@rm -rf .venv .run build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/stamp: pyproject.toml tools/venv
	@tools/venv

.PHONY: help run demo test lint fmt bench histories fuzz mutants dropped soak deb vm clean
