# make repro: set up, then run whatever of the pipeline is out of date. make test: set up, then the tests.
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: setup repro test lint

setup: $(VENV)/installed

$(VENV)/installed: requirements.lock
	python3 -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

repro: setup
	dvc repro

test: setup lint
	python -m pytest

lint: setup
	ruff check .
	ruff format --check .
