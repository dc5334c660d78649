# `make demo`: install the runtime and replay the bundled recording.  `make test`: everything that must hold.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KWS_DATA ?= $(wildcard ../shared/data)
export KWS_DATA := $(abspath $(KWS_DATA))
KWS_WEIGHTS ?= $(wildcard ../shared/weights)
export KWS_WEIGHTS := $(abspath $(KWS_WEIGHTS))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow lint clean system

demo: $(VENV)/.runtime
	$(BIN)/kws-listen examples/keywords.flac

test: $(VENV)/.train system lint
	$(BIN)/python -m pytest -m "not slow"

test-slow: $(VENV)/.train system
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.train
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The stamps are newer than pyproject.toml as long as it has not changed: then the environment is used as it is.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.train: pyproject.toml | $(VENV)/bin/python
	$(PIP) --editable ".[train,dev]"
	touch $@ $(VENV)/.runtime

# What the microphone tests need and pip cannot install. Where it cannot be had, those tests skip and say so.
system:
	@sh tests/system-packages.sh

include zoo.mk

clean:
	rm -rf $(VENV) runs dist
