# `make help` lists the targets.
PYTHON ?= python3
# For a small build of torch on a machine without a GPU, see the README: make install PIP_FLAGS="--extra-index-url ..."
PIP_FLAGS ?=
# Of the fuzzing; make shows it with the command, and `make fuzz SEED=...` repeats it.
SEED ?= $(shell date +%s)
BIN := .venv/bin
READY := .venv/complete

.DEFAULT_GOAL := help
.PHONY: help install demo questions test test-commands test-processors test-kernels test-slow fuzz test-all check format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(READY)  ## make .venv from constraints.txt, complete or not at all

$(READY): pyproject.toml constraints.txt
	rm -rf .venv
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "nmt: $(PYTHON) is not Python 3.11 to 3.13; give another by PYTHON=..." >&2; exit 2; }
	{ $(PYTHON) -m venv .venv \
		&& $(BIN)/pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[cluster,dev]'; } \
		|| { rm -rf .venv; echo "nmt: installation failed; nothing was left behind" >&2; exit 1; }
	touch $(READY)

demo: $(READY)  ## train on the embedded corpus, score, translate, draw, report (3 minutes of training)
	$(BIN)/python scripts/demo.py

# QUESTIONS="question=cell" for one, QUESTIONS="dry=true" for the list; see conf/questions.
questions: $(READY)  ## train what docs/questions.md asks and write it (four hours; goes on where it was stopped)
	$(BIN)/python scripts/questions.py jobs=2 then_measure=true $(QUESTIONS)

test: $(READY)  ## the unit tests, a process a core (under 2 minutes on two)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test-commands: $(READY)  ## the real commands, whole trainings, several processes (up to 15 minutes)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "commands and not slow"

# Each emulates a processor with fewer instructions than this one has; a setting above what it has changes nothing.
PROCESSORS := ONEDNN_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX512_CORE ATEN_CPU_CAPABILITY=avx2 \
	ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=AVX2
# What depends on the processor's kernels: bfloat16, 8-bit integers, benchmark.
KERNEL_TESTS := $(addprefix tests/test_,benchmark.py cells.py fused.py int8.py interface.py output.py resume.py \
	scheduled_sampling.py hostile_translation.py)

test-processors: $(READY)  ## the unit tests on emulated processors: without AVX-512, without VNNI, ... (15 minutes)
	@for setting in $(PROCESSORS); do \
		echo "== $$setting"; env $$setting OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile || exit 1; \
	done

test-kernels: $(READY)  ## of the unit tests on emulated processors, those of bfloat16, 8-bit integers and the benchmark
	@for setting in $(PROCESSORS); do \
		echo "== $$setting"; env $$setting OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(KERNEL_TESTS) || exit 1; \
	done

fuzz: $(READY)  ## ten thousand random inputs each to readers, configuration, batcher, loaders and translator
	NMT_FUZZ=10000 $(BIN)/python -m pytest -n auto -v --hypothesis-seed=$(SEED) tests/security/test_fuzz_input.py tests/security/test_fuzz_runs.py

test-slow: $(READY)  ## what trains for longer (a hundred kills, ...)
	$(BIN)/python -m pytest -m slow

test-all: $(READY)  ## everything, the slow tests too
	$(BIN)/python -m pytest -m ""

check: $(READY)  ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)  ## format and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and caches; runs stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build dist
