# A newcomer needs two commands: `make demo` and `make test`. Both make .venv from nothing where it is absent.
# Another interpreter: make demo PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip
INSTALL := $(PIP) install --disable-pip-version-check -c constraints.txt
READY := .venv/ready
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

.PHONY: commands demo test test-all check

commands:
	@echo "make demo   train a memory network on this machine and draw its memory (about two minutes)"
	@echo "make test   run the tests"

demo: $(READY)
	$(BIN)/torchmann demo

test: $(READY)
	$(PYTEST) -m "not slow"

test-all: $(READY)
	$(PYTEST)

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
