# `make demo`: install the runtime and replay the bundled recording.  `make test`: everything that must hold.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KWS_DATA ?= $(wildcard ../shared/data)
export KWS_DATA := $(abspath $(KWS_DATA))
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test test-slow lint lightcnn clean system

demo: $(VENV)/.runtime
	$(BIN)/kws-listen --model lightcnn.onnx examples/keywords.flac

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

# From the recordings in KWS_DATA to the model that ships; about 40 minutes on two cores.
lightcnn: $(VENV)/.train
	$(BIN)/python -m models.train lightcnn --data $(KWS_DATA)/speech_commands \
	    --noise $(KWS_DATA)/noise/train $(KWS_DATA)/noise/background --val-noise $(KWS_DATA)/noise/val \
	    --rir $(KWS_DATA)/rir/train --words $(KWS_DATA)/cut_words $(KWS_DATA)/other_words \
	    --speech $(KWS_DATA)/speech
	$(BIN)/python -m export runs/lightcnn-0/best.ckpt -o kws_stream/zoo/lightcnn.onnx

clean:
	rm -rf $(VENV) runs dist
