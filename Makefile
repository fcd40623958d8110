# Every target sets up what it needs inside this checkout: .venv, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export UV_SYSTEM_CERTS ?= 1
export UV_LINK_MODE ?= copy
# compiling numpy, pandas and boto3 anew in each of some hundred processes would double the time of the tests
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-hatchet lint bench bench-hatchet clean

# -- what a newcomer types ----------------------------------------------------------------------

demo: $(BIN)/.ready ## a repository from the room example, 1,000 samples of it, and its table
	@if [ -d demo ]; then $(BIN)/scythe-gen check demo || \
	  { echo "demo/ has been changed. To start it over: rm -r demo && make demo" >&2; exit 1; }; \
	else $(BIN)/scythe-gen new demo --example room; fi
	@test -x demo/.venv/bin/python || $(UV) venv --quiet --python $(BIN)/python demo/.venv
	@cd demo && VIRTUAL_ENV=.venv ../$(UV) pip install --quiet --editable .
	@cd demo && .venv/bin/python allocate.py --n 1000 --version bumpminor
	@echo "(in the demo: cd demo && . .venv/bin/activate)"

test: $(BIN)/.ready lint ## all tests
	$(BIN)/pytest -n 2 --dist loadgroup

test-hatchet: $(BIN)/.ready ## on a real Hatchet engine: hatchet-lite, -migrate, -admin and Postgres must be here
	SCYTHE_TEST_HATCHET=required $(BIN)/pytest -m hatchet tests/hatchet -rs --durations=5 -v -n 2 --dist worksteal \
	  --basetemp=$$(mktemp -d)/tests # other sessions of pytest may clear the folder that they share

lint: $(BIN)/.ready ## what must hold before any test is worth running
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-cache > .lint-imports.log || { cat .lint-imports.log; exit 1; }
	$(BIN)/mypy

bench: bench/.venv/.ready ## ours beside joblib, concurrent.futures, dask and ray; prints met or not met
	@for name in imports survival local_10k local_1m resume; do \
	  bench/.venv/bin/python bench/$$name.py || echo "bench/$$name.py: a bound is not met"; done

bench-hatchet: $(BIN)/.ready ## ours beside scythe-engine (SCYTHE_BENCH_PEER), and growth; needs what test-hatchet needs
	@$(BIN)/python bench/hatchet/beside_scythe_engine.py || echo "a bound is not met"
	@$(BIN)/python bench/hatchet/growth.py

setup: $(BIN)/.ready ## the environment alone

clean:
	rm -rf $(VENV) bench/.venv demo .mypy_cache .ruff_cache .lint-imports.log

# -- how ----------------------------------------------------------------------------------------

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than Python 3.11. Name a newer one: make PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.8

$(BIN)/.ready: pyproject.toml uv.lock $(UV)
	@$(UV) sync --quiet --frozen --inexact --python $(BIN)/python
	@touch $@

bench/.venv/.ready: bench/requirements.txt $(BIN)/.ready
	@$(UV) venv --quiet --clear --python $(BIN)/python bench/.venv
	@VIRTUAL_ENV=bench/.venv $(UV) pip install --quiet --requirement bench/requirements.txt --editable .
	@touch $@
