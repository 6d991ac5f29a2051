# Everything runs in .venv, which `demo` and `test` share. PYTHON is only used to create it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests start hundreds of processes; without bytecode each would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test lint docs wheel-check format clean system

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.installed-demo  ## install what is missing and do the whole job on the embedded sample
	@if [ -z "$$DISPLAY$$WAYLAND_DISPLAY" ] && command -v xvfb-run >/dev/null; then \
		xvfb-run -a -s "-screen 0 1600x1000x24" $(BIN)/napari-past demo; \
	else \
		$(BIN)/napari-past demo; \
	fi

# Tests run side by side, one file in one process; threads of torch that share a core slow it tenfold.
# In their order: else files of few and slow tests come last, and one core waits for the other.
test: lint docs  ## every check: style, types, rooms, manifest, documentation, tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-test  ## style, types, imports between rooms, the plugin's manifest
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari_past

docs: $(VENV)/.installed-test  ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(VENV)/.installed-test  ## put imports and layout in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel-check: $(VENV)/.installed-test  ## build dist/ and look at what a user gets from it
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	NAPARI_PAST_DIST=dist $(BIN)/python -m pytest tests/test_packaging.py

clean:  ## remove what was built; keeps .venv
	rm -rf dist build site demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

system:
	@.ci/system-packages $(PYTHON)

$(BIN)/python: | system
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "napari-past needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: EXTRAS := all
$(VENV)/.installed-test: EXTRAS := all,training,test,docs

# uv resolves and links in a fraction of pip's time; where it cannot be had, pip does the same work.
# Compiled now, as pip does it: else the first start of each command would.
$(VENV)/.installed-%: pyproject.toml | $(BIN)/python system
	@uv=$$(command -v $(BIN)/uv || command -v uv || \
		{ $(BIN)/python -m pip install --quiet --disable-pip-version-check uv >&2 && echo $(BIN)/uv; }) || true; \
	if [ -n "$$uv" ]; then \
		"$$uv" pip install --compile-bytecode --python $(BIN)/python --editable ".[$(EXTRAS)]"; \
	else \
		$(BIN)/python -m pip install --editable ".[$(EXTRAS)]"; \
	fi
	@touch $@
