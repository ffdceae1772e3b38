# `make help` lists the targets.
PYTHON ?= python3
# For a small build of torch on a machine without a GPU, see the README: make install PIP_FLAGS="--extra-index-url ..."
PIP_FLAGS ?=
# Seed of `make fuzz`. make prints it with the command; `make fuzz SEED=...` repeats the run.
SEED ?= $(shell date +%s)
BIN := .venv/bin
READY := .venv/complete
NEXT := .venv-next

.DEFAULT_GOAL := help
.PHONY: help install demo questions table amx-check gpu-check test test-commands test-authors test-browser pictures test-next test-processors \
	test-kernels test-slow fuzz test-all check \
	format commands docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(READY)  ## create .venv from constraints.txt; nothing is left behind if it fails

$(READY): pyproject.toml constraints.txt
	rm -rf .venv
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "nmt: $(PYTHON) is not Python 3.11 to 3.13; choose another with PYTHON=..." >&2; exit 2; }
	{ $(PYTHON) -m venv .venv \
		&& $(BIN)/pip install --quiet --disable-pip-version-check $(PIP_FLAGS) -c constraints.txt -e '.[cluster,dev,docs]'; } \
		|| { rm -rf .venv; echo "nmt: installation failed; nothing was left behind" >&2; exit 1; }
	touch $(READY)

demo: $(READY)  ## train on the embedded corpus, score, translate, plot, report (3 minutes of training)
	$(BIN)/python scripts/demo.py

# QUESTIONS="question=cell" trains one question, QUESTIONS="dry=true" lists the trainings; see conf/questions.
questions: $(READY)  ## run the trainings of docs/questions.md and write the page (thirty hours; resumes after a stop)
	$(BIN)/python scripts/questions.py jobs=2 then_measure=true $(QUESTIONS)

# RUNS="RUN RUN RUN" names the runs; TABLE=FOLDER is the folder of the table, which must not exist.
TABLE ?= table
table: $(READY)  ## score RUNS="RUN RUN RUN" on every test set; write the table of a paper as Markdown and LaTeX
	@test -n "$(RUNS)" || { echo 'nmt: RUNS is empty; name the runs: make table RUNS="RUN RUN RUN"' >&2; exit 2; }
	@test ! -e "$(TABLE)" || { echo "nmt: $(TABLE) exists; choose another folder with TABLE=FOLDER" >&2; exit 2; }
	for run in $(RUNS); do $(BIN)/python scripts/evaluate.py "run='$$run'" splits=all || exit 2; done
	$(BIN)/python scripts/table.py $(RUNS) output=$(TABLE)

# CHECK="data.mirror=FOLDER threads=2" sets further keys; OUTPUT=FOLDER is the folder of the results, which must not exist.
OUTPUT ?= $@
amx-check: $(READY)  ## compare losses and speeds of float32, bfloat16 and int8 on this CPU (at most eight minutes)
	$(BIN)/python scripts/device_check.py device=cpu output=$(OUTPUT) $(CHECK)

gpu-check: $(READY)  ## compare losses and speeds of float32 and bfloat16 on CUDA, and losses with the CPU's (eight minutes)
	$(BIN)/python scripts/device_check.py device=cuda output=$(OUTPUT) $(CHECK)

test: $(READY)  ## run the unit tests, one process per core (5 minutes on two cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test-commands: $(READY)  ## run the integration tests: real commands, whole trainings, several processes (30 minutes on two cores)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "commands and not slow"

# Without their requirements, which the compared files do not need. sru compiles itself with the C++ compiler.
AUTHORS := einops==0.8.2 fla-core==0.6.0 minGRU-pytorch==0.2.1 sru==2.6.0 xlstm==2.0.6
test-authors: $(READY)  ## compare recurrences with their authors' code, which is installed into build/authors
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target build/authors $(AUTHORS)
	PYTHONPATH=build/authors OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m authors tests/unit/models

BROWSER_TESTS := tests/integration/test_browser_page.py tests/integration/test_browser_form.py
test-browser: $(READY)  ## drive the page of nmt-serve and the form of nmt-human-eval in headless Chromium (skips without one)
	$(BIN)/python -m pytest -m browser $(BROWSER_TESTS)

# RUNS="RUN,RUN" names two trained runs with the same direction; the second one is for the comparison.
pictures: $(READY)  ## write the pictures of the page and of the form into docs/pictures from RUNS="RUN,RUN"
	@test -n "$(RUNS)" || { echo 'nmt: RUNS is empty; name two runs: make pictures RUNS="RUN,RUN"' >&2; exit 2; }
	NMT_BROWSER_RUNS="$(RUNS)" NMT_PICTURES=docs/pictures $(BIN)/python -m pytest -m browser $(BROWSER_TESTS) \
		-k "attention or comparison_marks or errors_are_marked"

NEXT_TESTS := tests/unit/config $(addprefix tests/unit/cli/test_,app.py hydra_errors.py typed_text.py) \
	tests/integration/test_commands_hydra.py
# The newest pre-releases are hydra-core 1.4.0rc3 with omegaconf 2.4.1rc1. Only Hydra and its dependencies are installed into
# the environment; all other packages come from .venv. Not part of CI: a pre-release can change on any day.
test-next: $(READY)  ## run the configuration tests with the newest pre-release of Hydra
	rm -rf $(NEXT)
	$(BIN)/python -m venv $(NEXT)
	$(BIN)/python -c 'import site; print(site.getsitepackages()[0])' \
		> $$($(NEXT)/bin/python -c 'import site; print(site.getsitepackages()[0])')/nmt.pth
	$(NEXT)/bin/pip install --quiet --disable-pip-version-check --pre --upgrade --upgrade-strategy eager hydra-core
	$(NEXT)/bin/python -c 'import hydra, omegaconf; print("hydra", hydra.__version__, "omegaconf", omegaconf.__version__)'
	PYTHONPATH=$(CURDIR) OMP_NUM_THREADS=1 $(NEXT)/bin/python -m pytest -n auto -m "not slow" $(NEXT_TESTS)

# Each setting emulates a processor with fewer instructions. A setting above those of this processor has no effect.
PROCESSORS := ONEDNN_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX512_CORE ATEN_CPU_CAPABILITY=avx2 \
	ATEN_CPU_CAPABILITY=default MKL_ENABLE_INSTRUCTIONS=AVX2
# Tests whose results depend on the processor's kernels: bfloat16, 8-bit integers, benchmark.
KERNEL_TESTS := $(addprefix tests/unit/,lab/benchmark/test_benchmark.py models/test_cells.py models/test_fused.py \
	models/test_int8.py models/test_interface.py models/test_output.py training/test_resume.py \
	training/test_scheduled_sampling.py) tests/security/test_hostile_translation.py

test-processors: $(READY)  ## run the unit tests on emulated processors: without AVX-512, without VNNI, ... (20 minutes)
	@for setting in $(PROCESSORS); do \
		echo "== $$setting"; env $$setting OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile || exit 1; \
	done

test-kernels: $(READY)  ## run the tests of bfloat16, 8-bit integers and the benchmark on emulated processors
	@for setting in $(PROCESSORS); do \
		echo "== $$setting"; env $$setting OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(KERNEL_TESTS) || exit 1; \
	done

fuzz: $(READY)  ## feed 10,000 random inputs each to readers, configuration, batcher, loaders and translator
	NMT_FUZZ=10000 $(BIN)/python -m pytest -n auto -v --hypothesis-seed=$(SEED) tests/security/test_fuzz_input.py tests/security/test_fuzz_runs.py

test-slow: $(READY)  ## run the slow tests: longer trainings, a hundred interruptions, ...
	$(BIN)/python -m pytest -m slow

test-all: $(READY)  ## run all tests, including the slow ones
	$(BIN)/python -m pytest -m ""

check: $(READY)  ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)  ## format the code and apply the linter's fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

commands: $(READY)  ## write docs/commands.md and docs/keys.md from the configurations of the commands
	$(BIN)/python scripts/document_commands.py

docs: $(READY)  ## build the documentation into build/site; a broken link or a page outside the navigation is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -d build/doctrees docs build/site

clean:  ## remove the environments and caches; runs stay
	rm -rf .venv $(NEXT) .mypy_cache .pytest_cache .ruff_cache build dist
