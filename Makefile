# A newcomer needs two commands: `make demo` and `make test`. Both make .venv from nothing where it is absent.
# Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip
INSTALL := $(PIP) install --disable-pip-version-check -c constraints.txt
READY := .venv/ready
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: commands demo test test-all test-gpu bench-gpu check

commands:
	@echo "make demo   train a memory network on this machine and draw its memory (about two minutes)"
	@echo "make test   run the tests"
	@echo "make test-gpu, make bench-gpu   the same on an accelerator, with the torch of PYTHON"

demo: $(READY)
	$(BIN)/torchmann demo

test: $(READY)
	$(PYTEST) -m "not slow"

test-all: $(READY)
	$(PYTEST)

# No environment is made for an accelerator: there the machine's own build of torch must stay. That Python needs the
# dependencies in pyproject.toml, pytest and hypothesis.
OUT ?= runs
HERE := OMP_NUM_THREADS=1 PYTHONPATH=src$(if $(PYTHONPATH),:$(PYTHONPATH)) $(PYTHON) -m

test-gpu:
	$(HERE) pytest -m gpu tests/gpu tests/engines/test_compiled.py tests/training/test_loop.py tests/benchmarks

bench-gpu:
	@mkdir -p $(OUT)
	$(HERE) torchmann bench gpu --device cuda --memory --rounds 5 --markdown $(OUT)/gpu.md --json $(OUT)/gpu.json

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# .venv/unfinished becomes .venv/ready at the very end: an interrupted attempt starts from nothing next time,
# a finished environment is brought up to date in place (and keeps, say, a GPU build of torch).
# torch goes first and by its pinned version, so that nothing else chooses its build.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "torchmann needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another: make PYTHON=python3.12")'
	@echo "Making the environment .venv (once; some minutes, mostly torch)"
	@test ! -e .venv/unfinished || rm -rf .venv
	@mkdir -p .venv && rm -f $@ && touch .venv/unfinished
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(INSTALL) "$$(grep '^torch==' constraints.txt)"
	@$(INSTALL) --quiet hatchling editables
	@$(INSTALL) --quiet --no-build-isolation -e '.[dev]'
	@mv .venv/unfinished $@
