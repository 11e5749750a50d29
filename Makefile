# Python 3.11 to 3.13 and make are all that is needed; everything else comes from requirements.lock into .venv/.

PYTHON ?= python3
CONFIG ?= config/config.yaml
CORES ?= all
# Further options of `./softlabels run`, such as ARGS="--config data_folder=../images"
ARGS ?=
# Of the tests: three at a time, of which those of a cluster mostly wait; the longest files first. WORKERS= is one after the other.
WORKERS ?= --numprocesses 3 --dist loadfile --no-loadscope-reorder

python := .venv/bin/python
benches = PYTHONPATH=workflow:tests $(python) -Pm benchmarks.bench

.PHONY: run test bench bench-all bench-gpu lint format schema lock

run: .venv/installed ## Run the default study (or CONFIG=…): tables, figures, audit, and the page that shows them.
	@./softlabels run $(CONFIG) --cores $(CORES) $(ARGS)

test: .venv/installed ## Run the tests; those for a GPU or a SLURM cluster are skipped where there is none.
	$(python) -m pytest $(WORKERS) $(ARGS) tests/slurm tests/workflow tests/unit tests/report tests/gpu

bench: .venv/installed ## Run the benchmarks: ratios, measured side by side (half an hour; ARGS=--quick: a look).
	$(benches) $(ARGS)

bench-all: .venv/installed ## The same, and those that take an hour and a half more.
	$(benches) --all $(ARGS)

bench-gpu: .venv/installed ## Put what tests/gpu/measure.sh measured (FILE=bench.json) into docs/benchmarks.md.
	$(benches) --from $(FILE)

lint: .venv/installed ## Check format and style.
	$(python) -m ruff check workflow tests
	$(python) -m ruff format --check workflow tests
	PATH="$(CURDIR)/.venv/bin:$$PATH" snakefmt --check Snakefile workflow
	$(python) -m snakemake --lint

format: .venv/installed ## Format code and rules.
	$(python) -m ruff check --fix workflow tests
	$(python) -m ruff format workflow tests
	PATH="$(CURDIR)/.venv/bin:$$PATH" snakefmt Snakefile workflow

# Made anew whenever the lock file changes; a half-made one is removed, not kept.
.venv/installed: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python 3.11 to 3.13 is needed, found %d.%d. Name one: make run PYTHON=python3.12" % v)'
	@echo "Installing the packages of requirements.lock into .venv (about 6 GB on Linux, some minutes) …"
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(python) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

schema: .venv/installed ## Write what people read of the configuration's schema, after a change of an entry.
	PYTHONPATH=workflow $(python) -Pm softlabels.published

lock: ## Renew requirements.lock from pyproject.toml (needs uv).
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --output-file requirements.lock
