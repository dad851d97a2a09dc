# make quickstart  build .venv if need be, train a translator on the built-in scenes, score it, draw what it changes
#                 quickstart-maps, quickstart-classes: the same with a DeepLab, with a CLIP
# make test      build .venv if need be, run the quick tests
# make test-all  run every test
# make lint      style, types, layers
# make env       only build .venv
# make lock      resolve requirements/lock.txt anew
#
# PYTHON chooses the interpreter (3.10 or newer), PYTEST_ARGS adds to pytest's arguments, SHORT=1 cuts the quickstart
# down to whether it runs.

PYTHON ?= python3
PYTEST_ARGS ?=
WORKERS ?= 2

VERSION := $(shell $(PYTHON) -c 'import sys; v = sys.version_info; print("%d.%d" % v[:2] if v >= (3, 10) else "")')
ifeq ($(VERSION),)
$(error tdir needs Python 3.10 or newer, and $(PYTHON) is not one: pass PYTHON=python3.12, for instance)
endif

LOCK := requirements/lock.txt
BIN := .venv/bin
# Newer than the lock and the metadata when the environment holds them; another interpreter has another stamp.
STAMP := .venv/built-with-python$(VERSION)

# ultralytics neither installs packages nor looks for news by itself.
export YOLO_AUTOINSTALL ?= false
export YOLO_OFFLINE ?= true

.PHONY: quickstart quickstart-maps quickstart-classes test test-all lint format env lock clean

QUICK = work_dirs/$@
ifdef SHORT
QUICK_TRAIN := optim.steps=20 degraded.count=40 clean.count=40
QUICK_IMAGES := 20
QUICK_CROPS := 200
else
QUICK_IMAGES := 100
QUICK_CROPS := 500
endif

quickstart: QUICK_CONFIG := aodnet_yolo_streets
quickstart: QUICK_BUNDLE := streets_haze
quickstart: QUICK_DATA := --data streets --degradation depth_haze
quickstart-maps: QUICK_CONFIG := aodnet_deeplab_streets
quickstart-maps: QUICK_BUNDLE := streets_maps_haze
quickstart-maps: QUICK_DATA := --data streets_maps --degradation depth_haze
quickstart-classes: QUICK_CONFIG := sci_clip_streets_dark
quickstart-classes: QUICK_BUNDLE := streets_crops_dark
quickstart-classes: QUICK_DATA := --data streets_crops \
	--degradation low_light --degradation-options gamma=[1.5,5.0] shot=0.0 read=0.0
quickstart-classes: QUICK_IMAGES = $(QUICK_CROPS)

quickstart quickstart-maps quickstart-classes: $(STAMP)
	@rm -rf $(QUICK)
	@$(BIN)/python tools/train_vat.py configs/$(QUICK_CONFIG).py --work-dir $(QUICK) --cfg-options val=None $(QUICK_TRAIN)
	@$(BIN)/python tools/benchmark.py --pipeline $(QUICK)/$(QUICK_BUNDLE).tdir $(QUICK_DATA) \
		--limit $(QUICK_IMAGES) --samples 200 --pictures 6 --out $(QUICK)
	@echo "before and after: $(QUICK)/pictures.jpg; all of it as a page: $(QUICK)/page.html"

# One thread for each of pytest's workers.
test test-all: export OMP_NUM_THREADS ?= 1

test: $(STAMP)
	@$(BIN)/pytest -n $(WORKERS) -m "not slow" $(PYTEST_ARGS)

test-all: $(STAMP)
	@$(BIN)/pytest -n $(WORKERS) $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

env: $(STAMP)

# --no-deps: the lock is complete, and opencv-python is left out of it on purpose (requirements/overrides.txt).
$(STAMP): $(LOCK) setup.cfg pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -r $(LOCK)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

# Once with every extra and for every Python that we support.
lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.10 --extra yolo --extra segmentation --extra clip --extra albumentations --extra quality --extra dev \
		--no-annotate --constraint requirements/constraints.txt --override requirements/overrides.txt \
		--custom-compile-command "make lock" --output-file $(LOCK) setup.cfg

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist tdir.egg-info
