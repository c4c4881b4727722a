# make repro: set up, then run whatever of the pipeline is out of date.
# make test: set up, then lint and the tests, without those marked slow. make test-all: the same with the slow ones.
# make bench: time picollm beside transformers and TRL, which are installed first; BENCH="--jobs sft --repeats 3" chooses.
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: setup repro test test-all lint bench

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

bench: setup $(VENV)/peers
	python -m benchmarks $(BENCH)

$(VENV)/peers: $(VENV)/installed Makefile
	python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock \
		transformers==5.23.0 trl==1.16.0 peft==0.18.0 accelerate==1.15.0 psutil==7.2.2
	touch $@
