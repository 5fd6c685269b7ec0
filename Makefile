# One target for each task; CI uses the same ones. uv is installed into .uv.
PYTHON ?= python3
UV := .uv/bin/uv
RUN := $(UV) run --frozen --no-sync
DEMO ?= work/demo
CIFAR ?=
# PyPI's PyTorch is for CUDA only, with a Triton whose LLVM conflicts with TensorFlow's in one process; see `bench`.
TORCH ?= --torch-backend cpu torch
CLIENTS := tests/serving/other_clients
AIRFLOW := tests/end_to_end/schedulers
ONLY ?=
# Options for pytest.
PYTEST ?=
UNITS := $(wildcard $(addsuffix .py,tests/test_figures tests/test_imports tests/test_options tests/test_packaging \
	tests/test_skipping \
	$(addprefix tests/models/test_,batches blocks damage layers metrics noise_prior optimizers pictures \
		proposals sampling text tiling) \
	$(addprefix tests/tfx_pipeline/test_,captions comparing config copying drift files folder importing \
		phrases shapes slices spans storybook_* verdict) \
	$(addprefix tests/serving/test_,client images provenance wire) \
	$(addprefix tests/benchmarks/test_,effort judge noise quality_prompts quality_rows)))
# Debian packages that some tests need, each with a path that exists if it is installed.
PACKAGES := chromium:/usr/bin/chromium \
	curl:/usr/bin/curl \
	fonts-noto-color-emoji:/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf \
	haproxy:/usr/sbin/haproxy \
	iproute2:/usr/sbin/ip \
	npm:/usr/bin/npm \
	unicode-cldr-core:/usr/share/unicode/cldr/common \
	util-linux:/usr/bin/setpriv

# TensorFlow Data Validation needs pyfarmhash, which has no wheel.
COMPILED := || { command -v g++ > /dev/null || echo "One package, pyfarmhash, is compiled: install a C++ compiler and Python's headers (Debian: g++ and python3-dev), then run make again."; exit 1; }

export UV_PYTHON_DOWNLOADS = never
# Compiling TensorFlow's thousands of modules takes seconds; without a cache, every process would do it again.
export UV_COMPILE_BYTECODE = 1

.PHONY: help install install-gpu install-dev packages browser demo docs notebooks pretrained bench results bench-check check test test-clients test-airflow test-slow test-soak lint types format clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(UV):
	@$(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet uv \
	|| { rm -rf .uv && $(PYTHON) -m pip install --quiet --target .uv uv; } \
	|| { rm -rf .uv; echo "Neither venv nor pip works for $(PYTHON): install the python3-venv package, then run make again."; exit 1; }

install: $(UV)  ## Install what the pipeline, the server and the notebooks need
	$(UV) sync --frozen --group pipeline --extra local --extra notebooks --python $(PYTHON) $(COMPILED)

install-dev: $(UV)
	$(UV) sync --frozen --group pipeline --extra local --group kubeflow --extra notebooks --group dev --python $(PYTHON) $(COMPILED)

install-gpu: $(UV)  ## The same with TensorFlow's CUDA libraries
	$(UV) sync --frozen --group pipeline --extra local --extra notebooks --extra gpu --python $(PYTHON) $(COMPILED)

packages:  ## Install the Debian packages without which tests are skipped; needs root
	@missing="$$(for each in $(PACKAGES); do [ -e "$${each#*:}" ] || echo "$${each%%:*}"; done)"; \
	[ -z "$$missing" ] || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $$missing; }

browser: install-dev  ## Fetch the Chromium that the tests of the studio drive, where there is none
	$(RUN) playwright install chromium

demo: install  ## Fine-tune the pretrained models on a new thing: data, training, serving, pictures before and after
	$(RUN) easel demo --root $(DEMO)

lint: install-dev
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: install-dev
	$(RUN) mypy

docs: install-dev  ## Build the documentation as a site in work/site; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet
	@echo "Open work/site/index.html. For a live preview: .venv/bin/mkdocs serve"

notebooks: install-dev  ## Execute the notebooks and store their outputs; ONLY="01 07" selects some
	$(RUN) python -m notebooks.execute $(ONLY)

pretrained: install  ## Train weights on the storybook for models/pretrained, for hours on two cores
	$(RUN) python -m benchmarks.pretraining work/pretrained

bench: $(UV)  ## Compare speed with PyTorch and ONNX Runtime, and write docs/speed.md; needs idle cores for ten minutes
	$(UV) sync --frozen --group bench --extra local --python $(PYTHON)
	$(UV) pip install --quiet --python .venv/bin/python $(TORCH) \
	|| { $(UV) pip install --quiet --python .venv/bin/python torch && $(UV) pip uninstall --quiet --python .venv/bin/python triton; } \
	|| echo "PyTorch cannot be installed here: its rows are left out."
	$(RUN) easel bench speed --docs docs

results: install  ## Render docs/results.md from its template and docs/results.json
	$(RUN) python -m benchmarks.results docs

bench-check: install  ## Fail if a ratio is more than a fifth below its value in docs/speed.json
	$(RUN) easel bench speed --rows prompt,decoding --check docs/speed.json

check: lint types  ## Linter, types, and the tests without training and serving; takes three minutes
	$(RUN) pytest -m "not slow and not soak" -n 2 --dist loadfile $(UNITS)

test: lint types  ## Linter, types and the test suite
	$(RUN) pytest -m "not slow and not soak" -n 2 --dist loadfile $(PYTEST)

test-clients: install-dev  ## Test the server with ovmsclient and a Node client, which this installs
	$(UV) venv --quiet --clear --python $(PYTHON) $(CLIENTS)/.venv
	$(UV) pip install --quiet --python $(CLIENTS)/.venv/bin/python -r $(CLIENTS)/requirements.txt
	npm ci --prefix $(CLIENTS) --no-fund --no-audit --silent || echo "npm cannot install here: the Node client is skipped."
	$(RUN) pytest $(CLIENTS)

test-airflow: install-dev  ## Test the Airflow DAG in a separate installation of Airflow
	$(UV) venv --quiet --clear --python $(PYTHON) $(AIRFLOW)/.venv
	$(UV) pip install --quiet --python $(AIRFLOW)/.venv/bin/python -r $(AIRFLOW)/requirements.txt
	$(RUN) pytest $(AIRFLOW) $(PYTEST)

test-slow: install-dev  ## Run the tests that are too slow for `make test`: notebooks, the tutorial, how-to pages, several machines
	$(RUN) pytest -m slow --durations 0 --durations-min 1 $(PYTEST)

test-soak: install-dev  ## Run tests that take many minutes, not in CI; CIFAR=archive.tar.gz adds real photographs
	EASEL_CIFAR=$(CIFAR) $(RUN) pytest -m soak

format: install-dev  ## Format the code and apply automatic fixes
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

clean:  ## Remove everything that the targets created
	rm -rf .venv .uv work .pytest_cache .mypy_cache .ruff_cache
