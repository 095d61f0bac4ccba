# Two commands do everything on a fresh machine: `make compare` (the main job) and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := $(VENV)/.sources
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: setup compare test lint bench docs sanitize clean FORCE

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt CMakeLists.txt $(wildcard src/unroll/native/*) $(SOURCES)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

# An editable installation knows where each module lies, so one that has moved asks for a new one.
$(SOURCES): FORCE
	@mkdir -p $(VENV)
	@find src -name '*.py' | LC_ALL=C sort | cmp -s - $@ || find src -name '*.py' | LC_ALL=C sort > $@

compare: setup
	$(BIN)/unroll compare co2 --target co2 --horizon 12 --missing carry --out runs/co2

# A worker for each core, and one thread in each, so that they do not wait for one another.
test: export OMP_NUM_THREADS ?= 1
test: setup
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/cpu_layers.py

docs: setup
	$(BIN)/python docs/cells/draw.py

sanitize: setup
	bash benchmarks/sanitize.sh

clean:
	rm -rf $(VENV) build dist
