# make demo, make test: everything from a fresh clone, with Python >= 3.11 and nothing else.
PYTHON ?= python3
BIN = .venv/bin
IMAGES ?= $(TRAINLAB_IMAGES)
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || sysctl -n hw.ncpu) + 2) # of the tests: some wait for processes that they have started
unexport PYTHONDONTWRITEBYTECODE # or each process that a test starts compiles the package anew

.PHONY: help setup demo test test-all test-cluster check lint types format docs exercise bench bench-population gpu-check lock \
    clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 18

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

setup: .venv/.installed ## build .venv from the lock file

demo: setup ## compare three networks with three seeds each on an embedded data set; half a minute of training
	$(BIN)/python src/train.py -m model=elu_he,bn,selu seed=1,2,3 experiment=demo name=demo
	@printf '\nWhich network is better, with intervals (open it in a browser):\n\n    %s\n\nThe curves:\n\n    %s\n\n' \
	    'outputs/demo/report.html' '$(BIN)/tensorboard --logdir outputs/demo'

exercise: setup ## all questions of the exercise and its page, two to three hours on 2 cores; QUICK=1 two minutes; IMAGES=folder
	$(BIN)/python src/exercise.py $(if $(filter-out 0,$(QUICK)),--quick,$(if $(IMAGES),data=image_folder data.root="$(IMAGES)"))

test: setup ## what matters most, in three minutes on two cores
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

test-all: setup ## all tests that need no GPU, no CIFAR-10 and no cluster: those of `make test` and the slow ones
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'not gpu and not realdata and not cluster'

test-cluster: setup ## tests of several nodes: in the SLURM that SLURM_CONF names, which they disturb, in Ray, by torchrun
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m cluster -rs

check: lint types test ## before every commit; CI runs test-all

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@find src tests benchmarks -name '*.py' | xargs wc -l | awk '$$1 > 300 && $$2 != "total" {print "warning: " $$2 " has " $$1 " lines, more than 300"}'

types: setup
	$(BIN)/mypy

format: setup ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## the documentation as a site, in docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

bench: setup ## compare times with other trainers and of populations: IMAGES=folder with train/ and test/ of CIFAR-10
	$(BIN)/python benchmarks/throughput.py --images "$(IMAGES)"
	$(BIN)/python benchmarks/population.py --images "$(IMAGES)"

bench-population: setup ## compare sweeps as populations with solo runs: IMAGES= as for bench; BENCH=--quick
	$(BIN)/python benchmarks/population.py --images "$(IMAGES)" $(BENCH)

gpu-check: setup ## check tests, results, times and memory on a GPU: IMAGES= as for bench, or none; BENCH=--quick
	$(BIN)/python benchmarks/gpu_check.py $(if $(IMAGES),--images "$(IMAGES)") $(BENCH)

lock: ## update requirements.lock; needs uv
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	    --no-header --extra dev pyproject.toml -o requirements.lock

clean: ## remove what is built, not outputs/ and data/
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache docs/_build src/*.egg-info
