# make repro: set up, then run whatever of the pipeline is out of date.
# make test: set up, then lint and the tests, without those marked slow. make test-all: the same with the slow ones.
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: setup repro test test-all lint

setup: $(VENV)/installed

$(VENV)/installed: requirements.lock
	python3 -m venv $(VENV)
	python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

repro: setup
	dvc repro

test: setup lint
	python -m pytest

test-all: setup lint
	python -m pytest -m ""

lint: setup
	ruff check .
	ruff format --check .
