# make lab opens the course, make test checks everything; both set up .venv first, once.
# Another Python: PYTHON=python3.12 make lab

PYTHON ?= python3
BIN := .venv/bin
NBVAL := --nbval --nbval-current-env --nbval-sanitize-with notebooks/sanitize.cfg \
	--nbval-cell-timeout 1800

# On every core, with a thread each; a notebook's cells stay together, and those that train begin.
LONGEST := notebooks/12_ablations.ipynb notebooks/10_training.ipynb
NOTEBOOKS = $(LONGEST) $(filter-out $(LONGEST),$(wildcard notebooks/*.ipynb))
CORE := boxes nms anchors matching roi_ops model detections targets_and_losses validate layers \
	contributing size count_syncs
# The user's settings must not matter.
SETTINGS := MPLCONFIGDIR IPYTHONDIR JUPYTER_CONFIG_DIR JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR
PYTEST := OMP_NUM_THREADS=1 $(foreach name,$(SETTINGS),$(name)="$(CURDIR)/.venv/private") \
	$(BIN)/python -m pytest -n logical --maxprocesses 4

SHELL := /bin/bash
.PHONY: help lab demo test test-fast test-morning notebooks weights lint format clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

lab: .venv/installed  ## set up, then open your copy of the course in JupyterLab
	$(BIN)/mrcnn-edu lab

demo: .venv/installed  ## set up, then score the model that comes with it, and draw a scene
	$(BIN)/mrcnn-edu demo

test: .venv/installed lint  ## set up, then check the style, the package and the notebooks
	$(PYTEST) --dist worksteal -p no:nbval tests/
	$(PYTEST) --dist loadfile $(NBVAL) $(NOTEBOOKS)

test-morning: .venv/installed  ## every lesson and the lab in a browser, and 20 kills: half an hour
	MRCNN_EDU_MORNING=1 $(PYTEST) --dist worksteal -p no:nbval tests/test_next_morning.py \
		tests/test_ablation_lab.py tests/test_campaign.py

test-fast: .venv/installed  ## the core's tests alone, in a minute: for while you work
	$(PYTEST) --dist worksteal -p no:nbval -m "not slow" $(CORE:%=tests/test_%.py)

notebooks: .venv/installed  ## build all notebooks from notebooks/src
	$(BIN)/python notebooks/build.py

weights: .venv/installed  ## train the models that come with the package again (an hour each)
	$(BIN)/python tools/make_shapes_tiny.py

lint: .venv/installed  ## check the style, the types, and how the lessons are written
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/python notebooks/style.py

format: .venv/installed  ## put the code into the style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:  ## remove caches and packages; .venv stays
	rm -rf .pytest_cache .ruff_cache dist build
	find . -path ./.venv -prune -o -name __pycache__ -prune -exec rm -rf {} +

# pip names a hundred packages; grep lets pass those of a megabyte or more. Errors come unfiltered.
.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
		"$(PYTHON) is $$($(PYTHON) --version 2>&1); Python 3.11 or newer is needed." \
		"Where another is installed: PYTHON=python3.12 make ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv. The first time, pip downloads PyTorch and JupyterLab: about 3 GB on" \
		"Linux (PyTorch brings its GPU libraries), 0.3 GB elsewhere."
	@set -o pipefail; $(BIN)/python -m pip install --progress-bar off -e ".[test]" | \
		{ grep --line-buffered -oE 'Downloading .* [MG]B\)|^Installing collected packages' || true; }
	@touch $@
