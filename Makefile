# maildock: every recipe does its own set-up. What a person needs: `make run`, `make test`.
# A machine with Python 3.11+, make and a network to the package registries is enough.

PYTHON ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,$(if $(shell $(p) -c 'import sys; sys.version_info >= (3, 11) and print(1)' 2>/dev/null),$(p))))
VENV := .venv
BIN := $(VENV)/bin
# A changed pyproject.toml changes the stamp's name; a warm run then costs nothing.
HASH := $(shell cksum < pyproject.toml | cut -d' ' -f1)
RUN_STAMP := $(VENV)/.installed-run-$(HASH)
TEST_STAMP := $(VENV)/.installed-test-$(HASH)
# pip of Python 3.11 does not know dependency groups (PEP 735).
TEST_GROUP = $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["test"])')
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq
WORKERS ?= 2
# What tests write is thrown away: where memory serves as a disk, nobody waits for a real one.
SHM := $(shell [ -w /dev/shm ] && [ "$$(df -Pk /dev/shm | awk 'NR == 2 {print $$4}')" -gt 4000000 ] && echo /dev/shm)
test test-web check soak: export TMPDIR := $(or $(TMPDIR),$(SHM),/tmp)
# The suites of tests/ways.py: `make soak` plays them with every combination of shortcuts.
EVERY_WAY = tests/crash/test_stops.py $(foreach s,edges edges_folders edges_poison edges_rows hostile_runs hostile_runs_mail second_run_changes truth_dovecot truth_policies truth_pymap truth_reset truth_resume,tests/scenarios/test_$(s).py)
# What `make bench` is told beside: BENCH=--quick takes a tenth of everything, BENCH=--profile says where time goes.
BENCH ?=

.PHONY: help run test test-web check lint soak bench bench-peers clean servers
.DEFAULT_GOAL := help

help:
	@echo "make run     a whole synchronization, with progress, against a mail server that it starts itself"
	@echo "make test    everything that guards the main branch (about 12 minutes on two cores)"
	@echo "make test-web   Sync Center in a real Chromium, and new pictures of it in docs/pictures"
	@echo "make check   format, lint, types, unit and contract tests, doctests: no servers, under a minute"
	@echo "make soak    the long campaigns; prints their figures"
	@echo "make bench   figures: speed and waits beside mbsync and OfflineIMAP, memory, cancel, start-up (under 20 minutes)"
	@echo "make bench-peers   installs those two, where it may"
	@echo "make clean   removes what the others made"

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "maildock needs Python 3.11 or newer; none was found." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment: on Debian, apt-get install python3-venv." >&2; rm -rf $(VENV); exit 1; }

$(RUN_STAMP): | $(VENV)/bin/python
	@echo "Installing maildock and what the demo needs into $(VENV) ..."
	@$(PIP) --editable '.[demo]'
	@rm -f $(VENV)/.installed-run-* && touch $@

$(TEST_STAMP): | $(RUN_STAMP)
	@echo "Installing what the tests need into $(VENV) ..."
	@$(PIP) $(TEST_GROUP)
	@rm -f $(VENV)/.installed-test-* && touch $@

run: $(RUN_STAMP)
	@$(BIN)/maildock demo

servers:
	@sh tests/install_servers.sh

# Sync Center in Chromium, as `make test` plays it, too; and new pictures of it in docs/pictures.
test-web: $(TEST_STAMP) servers
	MAILDOCK_PICTURES=docs/pictures $(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not soak" tests/web

lint: $(TEST_STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --strict tests/type_usage

check: lint
	$(BIN)/pytest -q -n $(WORKERS) --dist loadfile -m "not soak and not servers" --doctest-modules \
		store provider tests/unit tests/contract tests/test_architecture.py tests/test_surface.py

test: lint servers
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not soak" --doctest-modules store provider tests

soak: $(TEST_STAMP) servers
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m soak -s --timeout 7200 tests
	MAILDOCK_TEST_WAYS=every $(BIN)/pytest -q -n $(WORKERS) --dist loadfile -m "not soak" $(EVERY_WAY)

bench: $(TEST_STAMP) servers
	$(BIN)/python -m tests.bench $(BENCH)

bench-peers:
	@sh tests/bench/install_peers.sh

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
