# The developer's loop; CONTRIBUTING.md explains it. Everything happens in .venv, made on first use.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= ../shared/data
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: all demo test lint docs bench sample clean
all: lint test

.venv/user: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/developer: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/user

.venv/benchmarks: .venv/developer
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '.[bench]'
	@touch $@

# Other tools' libraries, asked whether they can read what we write; in an environment of their own, as they want other
# versions of what we use.
.oracles/ready: tests/oracles/requirements.txt
	$(PYTHON) -m venv .oracles
	.oracles/bin/python -m pip install --quiet --disable-pip-version-check --requirement tests/oracles/requirements.txt
	@touch $@

demo: .venv/user  ## curate the sample set, and compare what was found with what was planted
	$(BIN)/curate clean sample_datasets/road_signs
	@echo
	$(BIN)/curate table sample_datasets/road_signs --output sample_datasets/road_signs.curate/table.csv
	$(BIN)/python sample_datasets/score.py sample_datasets/road_signs.curate/table.csv
	@echo
	$(BIN)/curate flag sample_datasets/road_signs
	@echo
	$(BIN)/curate prelabel sample_datasets/road_signs
	@echo
	$(BIN)/curate report sample_datasets/road_signs

# Tests drive a real browser and a real database server, both from Debian's packages.
.venv/debian: .venv/developer
	command -v chromium >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { \
	  $(SUDO) apt-get update --quiet && $(SUDO) apt-get install --quiet --yes --no-install-recommends chromium postgresql; }
	@touch $@

test: .venv/developer .venv/debian .oracles/ready  ## run the tests
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: .venv/developer  ## format, lint, types, and documentation that is generated from the code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

docs: .venv/developer  ## write the generated documentation anew
	$(BIN)/python docs/generate.py

sample: .venv/developer  ## render the sample set anew
	$(BIN)/python sample_datasets/make_road_signs.py

bench: .venv/benchmarks  ## speed and truth against the strongest peer; needs the data of DATA=
	$(BIN)/python benchmarks/clean.py --data $(DATA)
	$(BIN)/python benchmarks/quality.py --data $(DATA)
	$(BIN)/python benchmarks/labels.py --data $(DATA)
	$(BIN)/python benchmarks/prelabels.py --data $(DATA)
	$(BIN)/python benchmarks/outliers.py --data $(DATA)
	$(BIN)/python benchmarks/votes.py --data $(DATA)
	$(BIN)/python benchmarks/embedding.py --data $(DATA)
	$(BIN)/python benchmarks/neighbours.py
	$(BIN)/python benchmarks/near_duplicates.py --data $(DATA)
	$(BIN)/python benchmarks/executors.py --data $(DATA)
	$(BIN)/python benchmarks/remote_source.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/scale_paper.py
	$(BIN)/python benchmarks/peers.py --data $(DATA)
	$(BIN)/python benchmarks/drift.py --data $(DATA)
	$(BIN)/python benchmarks/normalize.py --data $(DATA)
	$(BIN)/python benchmarks/leakage.py --data $(DATA)
	$(BIN)/python benchmarks/balance.py --data $(DATA)
	$(BIN)/python benchmarks/shortcuts.py --data $(DATA)
	$(BIN)/python benchmarks/review.py
	$(BIN)/python benchmarks/review_paint.py
	$(BIN)/python benchmarks/review_together.py

clean:
	rm -rf .venv .oracles build dist .mypy_cache .ruff_cache .pytest_cache
