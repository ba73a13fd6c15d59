# `make demo`, `make lecture`, `make test`, `make docs` from a bare clone: each makes .venv, installs the tested
# versions, and does its job. Another Python beside it: make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python

.PHONY: demo lecture test test-all test-accelerator parity race lint docs install

demo: install
	$(RUN) scripts/demo.py

lecture: install
	$(RUN) scripts/lecture.py

test: install lint
	$(RUN) -m pytest -m "not slow"

test-all: install lint
	$(RUN) -m pytest

# An hour or two, most of it for Inception's 500 images of three sizes; IMAGES=8 is shorter.
parity: IMAGES ?= 500
parity: $(VENV)-parity/installed
	GEN_PARITY_IMAGES=$(IMAGES) JAX_PLATFORMS=cpu $(VENV)-parity/bin/python -m tests.parity --out=docs/precision.md

# Against PyTorch, as it is and compiled, in turns; the machine should be otherwise idle.
race: install $(VENV)-peer/installed
	$(RUN) scripts/benchmark.py --markdown --peer_command="$(VENV)-peer/bin/python benchmarks/torch_peers" \
	    --peer_command="$(VENV)-peer/bin/python benchmarks/torch_peers --compile"

# Of the GPU or TPU that JAX finds; with ACCELERATOR=cpu, 8 devices of the CPU stand in for one.
test-accelerator: install
	GEN_ACCELERATOR=$(ACCELERATOR) $(RUN) -m pytest -n 0 --durations=0 tests/accelerator

# REPOSITORY=owner/name: notebooks have a link that opens them in Colab, once build/site is that repository's gh-pages.
docs: install
	$(RUN) -m sphinx --builder html --fail-on-warning --keep-going -d build/doctrees \
		$(if $(REPOSITORY),-D repository=$(REPOSITORY)) docs build/site

lint: install
	$(VENV)/bin/ruff check .

install: $(VENV)/installed

$(VENV)-parity/installed: pyproject.toml constraints.txt tests/parity/constraints.txt
	$(PYTHON) -m venv $(VENV)-parity
	$(VENV)-parity/bin/pip install --quiet --disable-pip-version-check -c constraints.txt \
	    -c tests/parity/constraints.txt -e '.[test,parity]'
	touch $@

$(VENV)-peer/installed: benchmarks/requirements.txt
	$(PYTHON) -m venv $(VENV)-peer
	$(VENV)-peer/bin/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	touch $@

$(VENV)/installed: setup.py pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@
