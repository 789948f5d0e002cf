# Everything here needs Python 3.11 or 3.12 and make; the first target that is run makes .venv with the locked dependencies.

.DEFAULT_GOAL := help
.PHONY: help install run demo test check bench peers score ablate simulate torture fuzz observe kafka sbom lock clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
READY := $(VENV)/ready
WARM := $(VENV)/warm
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SPEED ?= 30
KEEP ?=
JOBS ?= 3
SEEDS ?= 200
SEED ?= 1
FIRST ?= 1
RUNS ?= 1000000
FUZZ := .venv-fuzz
KAFKA_TESTS := tests/test_broker_end_to_end.py tests/test_watch.py tests/test_real_kafka.py tests/test_kafka_cluster.py

# The first that works and fits: a name on the path may be a shim that only complains.
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 13))
MISSING := roadwatch needs Python 3.11 or 3.12 with its venv module: install one (Debian: apt install python3-venv), then run make again

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

install: $(READY)  ## .venv, with roadwatch in it, and nothing else

run: $(READY)  ## play the bundled recording through a broker and the worker; SPEED=30, KEEP=1 stays up
	@$(BIN)/roadwatch demo --speed $(SPEED) $(if $(filter-out 0 no,$(KEEP)),--keep)

demo: run  ## the same as run

test: $(WARM)  ## all tests; PYTEST="-k kafka" for some
	@# three at a time on two cores, for many wait for a broker; with bytecode, or each worker that is started compiles anew
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST)

kafka: $(WARM)  ## the end-to-end tests against a real Apache Kafka, killed and overtaken (needs Java 17 and Maven)
	@$(BIN)/python -m tests.real_kafka
	@KAFKA_JARS=var/kafka $(BIN)/python -m pytest $(KAFKA_TESTS) $(PYTEST)

check: $(READY)  ## what reads the code: ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)  ## how fast: messages per second, and where the time goes
	@$(BIN)/python -m benchmarks.throughput

peers: $(READY)  ## how fast others do the windowing alone, each in an environment of its own (PyFlink needs Java and Maven): 15 minutes
	@$(BIN)/python -m benchmarks.peers_brokered

score: $(READY)  ## how right: detections, false alarms and times on labelled recordings, and pictures; SCORE="--loops --sets DIR"
	@$(BIN)/python -m benchmarks.score $(SCORE)

ablate: $(READY)  ## what each detector and each model is worth: the same without it
	@$(BIN)/python -m benchmarks.ablate

simulate: $(READY)  ## stalls, crashes and resumes from dice: SEEDS=200 histories from seed FIRST=1 that must all agree
	@$(BIN)/python -m tests.simulation $(SEEDS) $(FIRST)

torture: $(READY)  ## kills, stops, broker faults and a soak in full length, from SEED=1: three quarters of an hour; TORTURE="--only SIGKILL --write"
	@$(BIN)/python -m tests.torture --seed $(SEED) $(TORTURE)

fuzz: $(FUZZ)/ready  ## hostile input against every decoder: RUNS=1000000 of coverage-guided fuzzing, then Hypothesis for long; SEED=1
	@$(FUZZ)/bin/python -m tests.fuzz --runs $(RUNS) --seed $(SEED)

observe: $(READY)  ## scrape a worker with a Prometheus and try the dashboard and the rules; TARGET=host:port for a running one
	@$(BIN)/python deploy/observe.py $(if $(TARGET),--target $(TARGET))

sbom: $(INSTALLED)  ## what roadwatch is made of: CycloneDX from the lock files, to var/sbom.json and var/sbom-dev.json
	@test -x var/sbom-tool/bin/cyclonedx-py || { $(BIN)/python -m venv var/sbom-tool && var/sbom-tool/bin/python -m pip install \
		--quiet --disable-pip-version-check --require-hashes --only-binary :all: -r deploy/sbom.lock; }
	@PYTHONWARNINGS=ignore $(CYCLONEDX) -o var/sbom.json requirements.lock
	@PYTHONWARNINGS=ignore $(CYCLONEDX) -o var/sbom-dev.json requirements-dev.lock
	@$(BIN)/python deploy/check_sbom.py requirements.lock var/sbom.json requirements-dev.lock var/sbom-dev.json

CYCLONEDX = var/sbom-tool/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --sv 1.6 --of JSON --validate

lock: $(READY)  ## resolve the dependencies anew (needs uv)
	@command -v uv > /dev/null || { echo "make lock needs uv: install it with your package manager" >&2; exit 1; }
	@$(LOCK) --output-file requirements.lock pyproject.toml
	@$(LOCK) --extra dev --extra demo --output-file requirements-dev.lock pyproject.toml
	@echo "wrote requirements.lock and requirements-dev.lock"

LOCK = uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

clean:  ## remove .venv, caches and var/ but for the key in it
	rm -rf $(VENV) $(FUZZ) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	[ ! -d var ] || find var -mindepth 1 -maxdepth 1 ! -name pseudonym.key -exec rm -rf {} +
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(WARM): $(READY) $(wildcard detectors/*.py dataflows/*.py dataflows/formats/*.py)
	@echo "compiling the loops, once: half a minute or a whole one"
	@$(BIN)/python -m tests.warm
	@touch $@

$(READY): $(INSTALLED) pyproject.toml
	@$(PIP) --no-deps --no-build-isolation --no-index -e .
	@touch $@

$(INSTALLED): requirements-dev.lock
	@python=; for each in python3.12 python3.11 python3; do \
		if $$each -c '$(FITS)' > /dev/null 2>&1; then python=$$each; break; fi; done; \
	if [ -z "$$python" ]; then echo "$(MISSING)" >&2; exit 1; fi; \
	echo "making $(VENV) with $$($$python --version) and installing the locked dependencies: a minute or two, once"; \
	rm -rf $(VENV) && $$python -m venv $(VENV)
	@$(PIP) --require-hashes --only-binary :all: -r requirements-dev.lock
	@touch $@

# Atheris is no dependency of roadwatch, so it has an environment of its own.
$(FUZZ)/ready: $(INSTALLED)
	@echo "making $(FUZZ) with the locked dependencies and atheris: a minute or two, once"
	@rm -rf $(FUZZ) && $(BIN)/python -m venv $(FUZZ)
	@$(FUZZ)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock
	@$(FUZZ)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: atheris==3.0.0 2> /dev/null || \
		{ echo "atheris 3.0.0 cannot be installed here: the fuzzer needs Linux on x86-64 and a package index that has it" >&2; exit 1; }
	@touch $@
