# Every target but setup and clean makes its own environment in .venv first. `make` alone lists them.
PYTHON ?= $(firstword $(shell command -v python3.11 2>/dev/null) $(shell command -v python3 2>/dev/null))
TORCH := 2.13.0
CPU_INDEX ?= https://download.pytorch.org/whl/cpu

BIN := .venv/bin
STAMP := .venv/.miras-setup

.DEFAULT_GOAL := help
.PHONY: help setup browser demo test test-slow lint docs wheel clean

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv with all that the other targets need

# torch comes first and alone, as a CPU build: asked for together with the rest, pip may choose the CUDA build,
# which brings gigabytes of libraries. An interrupted setup leaves no stamp and is simply run again.
$(STAMP): pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed and no python3 was found; install it" >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, $(PYTHON) is $$("$(PYTHON)" --version 2>&1);" \
	    "install python3.11 or name one: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' || { \
	  echo "$(PYTHON) cannot make virtual environments; install its venv package (Debian: python3-venv)" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv
	@echo "torch $(TORCH) for CPU, about 200 MB when it has to be fetched"
	@$(BIN)/python -m pip install --disable-pip-version-check "torch==$(TORCH)+cpu" 2>/dev/null \
	  || $(BIN)/python -m pip install --disable-pip-version-check --index-url $(CPU_INDEX) "torch==$(TORCH)" \
	  || { echo "no CPU build at $(CPU_INDEX); taking the default one, which may bring CUDA libraries" >&2; \
	       $(BIN)/python -m pip install --disable-pip-version-check "torch==$(TORCH)"; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable ".[dev,docs]"
	@touch $@

browser:  ## Debian's Chromium, for the tests of the page, where there is none
	@[ -n "$$CHROMIUM" ] || command -v chromium || command -v chromium-browser \
	  || { apt-get update -q && apt-get install -y -q --no-install-recommends chromium; } \
	  || echo "no Chromium, and none could be installed: the tests of the page are skipped" >&2

demo: setup  ## a real conversation about real photos, with masks, into demo_out/
	$(BIN)/miras demo

test: setup  ## the tests that take seconds
	$(BIN)/python -m pytest -m "not slow"

# pytest ends with 5 when it has found no test to run, which is no failure of the slow ones.
test-slow: setup browser  ## the tests that take minutes
	@code=0; $(BIN)/python -m pytest -m slow --timeout 1800 || code=$$?; \
	  if [ $$code -eq 5 ]; then echo "no slow test to run"; code=0; fi; exit $$code

lint: setup  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src tests $(wildcard benchmarks/*.py)

docs: setup  ## the documentation as web pages, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

wheel: setup  ## the installable package, into dist/
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir dist .

clean:  ## remove all that the other targets made, trained weights excepted
	rm -rf .venv build dist site demo_out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
