# Two commands for everyone: `make demo` and `make test`. Each makes its own virtual environment in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml README.md $(shell find src -type f ! -path '*/__pycache__/*' ! -name '*.nb?')

.DEFAULT_GOAL := help
.PHONY: help demo example test test-cp2k test-qe bench docs docs-numbers docs-links wheel fuzz lint clean

help:
	@echo "make demo    install into $(VENV) and run the study on the shipped CsPbI3 data"
	@echo "make example from a structure file to a lifetime with GFN1-xTB, pip packages only (about ten minutes on a free core)"
	@echo "make test    install with the test tools and run the tests"
	@echo "make test-cp2k  reproduce 20 frames of the shipped data with CP2K, where it is installed"
	@echo "make test-qe pw.x on a small cell, and what its wavefunctions must obey, where Quantum ESPRESSO is installed"
	@echo "make bench   timings beside scikit-learn, dscribe and others (installs them into $(VENV))"
	@echo "make docs    the documentation as a site with search and the Python reference, in docs/_build"
	@echo "make docs-numbers  print anew what takes less than a minute of the numbers in docs, say where the others come from"
	@echo "make docs-links    look whether addresses in docs answer (needs the network)"
	@echo "make wheel   build the wheel, which must stay under 30 MB"
	@echo "make fuzz    1e5 mutated files through every reader (hours)"
	@echo "make lint    ruff and mypy"
	@echo "make clean   remove $(VENV), build folders and caches"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"hopcast needs Python 3.11 or newer, but $(PYTHON) is {v.major}.{v.minor}. Try: make demo PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'

# the wheel is built and installed anew whenever a source changes; dependencies are resolved only once
$(VENV)/installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet .
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall .
	@touch $@

$(VENV)/group-%: pyproject.toml | $(VENV)/installed
	$(BIN)/python -m pip install --quiet --group $*
	@touch $@

demo: $(VENV)/installed
	$(BIN)/hopcast demo

test: $(VENV)/installed $(VENV)/group-test
	$(BIN)/python -m pytest -n auto --dist=loadfile

$(VENV)/extra-%: pyproject.toml | $(VENV)/installed
	$(BIN)/python -m pip install --quiet '.[$*]'
	@touch $@

example: $(VENV)/installed $(VENV)/extra-tblite
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/from-structure/run.sh from-structure

test-cp2k: $(VENV)/installed $(VENV)/extra-cp2k
	$(BIN)/python tools/check_cp2k.py

test-qe: $(VENV)/installed
	$(BIN)/python tools/check_qe.py

bench: $(VENV)/installed $(VENV)/group-bench
	$(BIN)/python benchmarks/run.py

# searchable pages in docs/_build; a warning (a broken link, a docstring that does not render) fails
docs: $(VENV)/installed $(VENV)/group-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going -q -b html docs docs/_build
	$(BIN)/python tools/check_site.py docs/_build
	@echo "open docs/_build/index.html"

docs-numbers: $(VENV)/installed
	$(BIN)/python tools/docs_numbers.py

docs-links: $(VENV)/installed $(VENV)/group-docs
	$(BIN)/python -m sphinx -q -b linkcheck docs docs/_build/links

wheel: $(BIN)/python
	rm -rf build/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	@du -k build/wheel/*.whl | awk '{ printf "%s: %.1f MB\n", $$2, $$1 / 1024; exit $$1 > 30 * 1024 }'

fuzz: $(VENV)/installed $(VENV)/group-test
	$(BIN)/python tests/fuzz/fuzz_readers.py

lint: $(VENV)/installed $(VENV)/group-lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build dist docs/_build .pytest_cache .hypothesis .mypy_cache .ruff_cache
