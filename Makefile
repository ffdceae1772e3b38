# `make help` lists the targets.
PYTHON ?= python3
# For a small build of torch on a machine without a GPU, see the README: make install PIP_FLAGS="--extra-index-url ..."
PIP_FLAGS ?=
# Seed of the fuzzing. make prints it with the command, and `make fuzz SEED=...` repeats a run.
SEED ?= $(shell date +%s)
BIN := .venv/bin
READY := .venv/complete

.DEFAULT_GOAL := help
.PHONY: help install demo questions test test-commands test-processors test-kernels test-slow fuzz test-all check format commands clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(READY)  ## make .venv from constraints.txt; nothing is left behind if it fails

$(READY): pyproject.toml constraints.txt
	rm -rf .venv
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "nmt: $(PYTHON) is not Python 3.11 to 3.13; set PYTHON=... to another interpreter" >&2; exit 2; }
	{ $(PYTHON) -m venv .venv \
		&& $(BIN)/pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[cluster,dev]'; } \
		|| { rm -rf .venv; echo "nmt: installation failed; nothing was left behind" >&2; exit 1; }
	touch $(READY)

demo: $(READY)  ## train on the embedded corpus, score, translate, draw, report (3 minutes of training)
	$(BIN)/python scripts/demo.py

# QUESTIONS="question=cell" for one, QUESTIONS="dry=true" for the list; see conf/questions.
questions: $(READY)  ## run the trainings of docs/questions.md and write it (four hours; continues where it was stopped)
	$(BIN)/python scripts/questions.py jobs=2 then_measure=true $(QUESTIONS)

test: $(READY)  ## run the unit tests, one process per core (under 2 minutes on two cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test-commands: $(READY)  ## test real commands, whole trainings and several processes (up to 15 minutes)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "commands and not slow"

# Each setting emulates a processor with fewer instructions. A setting above this processor's level has no effect.
PROCESSORS := ONEDNN_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX512_CORE ATEN_CPU_CAPABILITY=avx2 \
	ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=AVX2
# Tests that depend on the processor's kernels: bfloat16, 8-bit integers, benchmark.
KERNEL_TESTS := $(addprefix tests/test_,benchmark.py cells.py fused.py int8.py interface.py output.py resume.py \
	scheduled_sampling.py hostile_translation.py)

test-processors: $(READY)  ## run the unit tests on emulated processors, without AVX-512 or VNNI (15 minutes)
	@for setting in $(PROCESSORS); do \
		echo "== $$setting"; env $$setting OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile || exit 1; \
	done

test-kernels: $(READY)  ## run the bfloat16, 8-bit and benchmark tests on emulated processors
	@for setting in $(PROCESSORS); do \
		echo "== $$setting"; env $$setting OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(KERNEL_TESTS) || exit 1; \
	done

fuzz: $(READY)  ## send 10,000 random inputs to readers, configuration, batcher, loaders and translator
	NMT_FUZZ=10000 $(BIN)/python -m pytest -n auto -v --hypothesis-seed=$(SEED) tests/security/test_fuzz_input.py tests/security/test_fuzz_runs.py

test-slow: $(READY)  ## run the long trainings, such as one that is killed a hundred times
	$(BIN)/python -m pytest -m slow

test-all: $(READY)  ## run every test, slow tests included
	$(BIN)/python -m pytest -m ""

check: $(READY)  ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)  ## format, and fix what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

commands: $(READY)  ## write docs/commands.md from the commands
	$(BIN)/python scripts/document_commands.py

clean:  ## remove the environment and caches; runs are kept
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build dist
