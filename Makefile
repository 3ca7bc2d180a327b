# Every command of the project. `make demo` and `make test` need python3 with venv, and make; nothing else.
PYTHON ?= python3
BIN := .venv/bin
# The lock files are complete, so pip has nothing to resolve.
PIP_INSTALL := -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes

# Bytecode is kept even where the machine's setting forbids it: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

# Tests wait for servers at times, so there is one process more than there are cores.
TEST_PROCESSES := $(shell echo $$(($$(nproc) + 1)))

NODE := $(shell command -v npm)

# The AWS clients need a region, even without credentials.
SAM := SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=eu-central-1 .venv-sam/bin/sam

.DEFAULT_GOAL := help
.PHONY: help demo serve page test test-times api-test page-test browser screenshots hostile fuzz chaos bench simulate
.PHONY: lint types format docs reference structure openapi plugins toolchains lock sam sam-check sam-build sam-local containers release clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/local.stamp ## send one message through the whole embedded stack
	$(BIN)/guildhook demo

serve: ## run the whole system on this machine with a sample chat and sample guilds; needs Node 20
	@$(MAKE) --no-print-directory --jobs=2 .venv/local.stamp page
	$(BIN)/guildhook serve

page: functions/admin_api/page/index.html local/guildhook_local/chat_page/index.html ## build the pages; needs Node 20

# Each run has a random order; the header has its seed, and PYTEST_OPTIONS=--randomly-seed=SEED repeats it.
test: .venv/dev.stamp .venv-sam/stamp $(if $(NODE),page plugins/quickjs/node_modules/.package-lock.json) containers ## run every test, in parallel: the pages if there are Node and Chromium, containers if there is Docker Engine
	$(BIN)/pytest --numprocesses=$(TEST_PROCESSES) --dist=worksteal $(PYTEST_OPTIONS)

test-times: ## run make test, and show the slowest 20 tests and fixtures and the time spent waiting
	@$(MAKE) --no-print-directory test PYTEST_OPTIONS=--times

api-test: .venv/dev.stamp ## test the admin API against its document, and every route without the needed permissions
	$(BIN)/pytest --numprocesses=auto tests/api

hostile: .venv/dev.stamp ## run every hostile plugin, and show its outcome, time and memory
	$(BIN)/python tests/hostile/run.py

fuzz: .venv/dev.stamp ## run generated and mutated plugins for ten minutes
	$(BIN)/python tests/fuzz/run.py --seconds 600

chaos: .venv/dev.stamp ## send 10,000 messages under 300 faults, and check that none is lost or repeated
	$(BIN)/python tests/chaos/run.py
	$(BIN)/python tests/chaos/run.py --no-keys --messages 3000 --faults 72

bench: .venv/bench.stamp ## measure every figure against its peer or limit, in ten minutes; two of them need Node 20
	$(BIN)/python -m bench --json bench.json
	$(BIN)/python -m bench.inspection
	$(BIN)/python -m bench.runs

simulate: .venv/bench.stamp ## write the tables and plots of docs/scaling.md, and the costs of docs/deployment.md
	$(BIN)/python -m bench.scaling

lint: .venv/dev.stamp web/node_modules/.package-lock.json ## check rules and format with ruff and, for the page, Biome; needs Node 20
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	cd web && npm run --silent lint

types: .venv/dev.stamp web/node_modules/.package-lock.json ## check types with mypy and, for the page, TypeScript; needs Node 20
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini bench docs plugins reference release tests wasi
	@# One at a time: every function's module is called app.
	@for app in functions/*/app.py; do echo $(BIN)/mypy $$app; $(BIN)/mypy $$app || exit 1; done
	cd web && npm run --silent types

format: .venv/dev.stamp web/node_modules/.package-lock.json ## format the code with ruff and Biome
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	cd web && npm run --silent format

docs: .venv-docs/stamp ## build the documentation site in site/; a dead link or anchor is an error
	rm -rf site
	.venv-docs/bin/sphinx-build --conf-dir docs --fresh-env --nitpicky --fail-on-warning --keep-going --quiet --doctree-dir .venv-docs/doctrees . site

structure: .venv/dev.stamp ## show the library's rooms and the imports between them
	$(BIN)/python tests/structure.py

reference: .venv/dev.stamp ## write the reference pages in docs/reference from the source
	$(BIN)/python -m reference

openapi: .venv/dev.stamp ## write the OpenAPI document of the admin API to web/openapi.json
	@# A redirection alone would empty the document before it is known that there is a new one.
	$(BIN)/python -m guildhook.admin.openapi >web/openapi.json.new && mv web/openapi.json.new web/openapi.json

plugins: .venv/dev.stamp ## rebuild the example plugins, and WASI, from source
	$(MAKE) -C plugins/ping PYTHON=$(CURDIR)/$(BIN)/python
	$(MAKE) -C plugins/counter PYTHON=$(CURDIR)/$(BIN)/python
	$(MAKE) -C plugins/split PYTHON=$(CURDIR)/$(BIN)/python
	$(MAKE) -C plugins/split PYTHON=$(CURDIR)/$(BIN)/python OUT=first.wasm DEFINES=-DFIRST_VERSION
	$(MAKE) -C plugins/welcome PYTHON=$(CURDIR)/$(BIN)/python
	$(MAKE) -C wasi PYTHON=$(CURDIR)/$(BIN)/python

toolchains: plugins/quickjs/node_modules/.package-lock.json plugins/spidermonkey/node_modules/.package-lock.json ## install the toolchains of plugins in JavaScript, for the tests; needs Node 20

sam: sam-check .venv/dev.stamp ## build, lint, scan and test the templates that `sam deploy` sends; needs no credentials
	$(BIN)/pytest --numprocesses=auto tests/infra

sam-check: .aws-sam/stamp .venv-policy/stamp ## do the same without the tests
	$(SAM) validate --lint
	.venv-sam/bin/cfn-lint infra/*.yaml
	@# A resource that deviates from a rule gives the reason in its Metadata.
	.venv-policy/bin/checkov --framework cloudformation --skip-download --quiet --compact --file template.yaml infra/*.yaml

sam-build: .aws-sam/stamp ## build the functions and layers into .aws-sam

release: .venv-release/stamp ## make an archive to deploy without a build, its bill of materials and checksums in dist/; needs Python 3.13
	@# A build without bytecode is made anew, with it.
	@[ -e .aws-sam/build/GuildhookLayer/python/guildhook/__pycache__ ] || rm -f .aws-sam/stamp
	BYTECODE=required $(MAKE) --no-print-directory .aws-sam/stamp
	.venv-release/bin/python -m release

sam-local: .venv/dev.stamp containers ## test the functions in containers and on the runtime emulator, as Lambda runs them
	GUILDHOOK_DOCKER=required $(BIN)/pytest --numprocesses=auto --dist=worksteal tests/sam_local tests/emulator

page-test: web/node_modules/.package-lock.json ## run the page's unit tests, without a browser; needs Node 20
	cd web && npm run --silent test

browser: .venv/dev.stamp page ## test the pages in Chromium
	GUILDHOOK_BROWSER=required $(BIN)/pytest --numprocesses=auto --dist=worksteal tests/browser

screenshots: .venv/dev.stamp page ## take the screenshots of README.md, from a system of their own
	$(BIN)/python tests/browser/screenshots.py

# The image for functions in containers, if there are Docker Engine and Node. Other machines build nothing.
containers: .venv-sam/stamp
	@if [ "$(NODE)" ] && docker info >/dev/null 2>&1; then $(MAKE) .aws-sam/stamp && { [ "$$(id -u)" != 0 ] || infra/local/make-image || true; }; \
	else echo "no Docker Engine answers, or there is no Node: no function is run in a container"; fi

lock: .venv-lock/stamp ## resolve requirements/*.in again
	@for name in runtime runtime-interface local build release dev bench docs sam policy lock; do \
	  .venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
	    --custom-compile-command 'make lock' requirements/$$name.in --output-file requirements/$$name.txt || exit 1; \
	done
	@# One lock for both architectures, so their packages must be the same ones.
	@for machine in aarch64 x86_64; do \
	  .venv-lock/bin/uv pip compile --quiet --python-platform $$machine-manylinux_2_28 --only-binary :all: --generate-hashes \
	    --no-annotate --python-version 3.13 --custom-compile-command 'make lock' requirements/layers.in \
	    --output-file .venv-lock/layers-$$machine.txt || exit 1; \
	done
	@cmp .venv-lock/layers-aarch64.txt .venv-lock/layers-x86_64.txt
	@cp .venv-lock/layers-x86_64.txt requirements/layers.txt

clean: ## remove the files that these commands created
	rm -rf .venv .venv-docs .venv-sam .venv-policy .venv-lock .venv-release dist site web/node_modules plugins/*/node_modules functions/admin_api/page local/guildhook_local/chat_page .bench bench.json .aws-sam .mypy_cache .pytest_cache .ruff_cache

# Times do not tell from which sources the admin page was built (web/page_sources.py), so a digest decides. It is recorded
# last: a build that ends early leaves none.
PAGE_IS_CURRENT := $(shell [ "$$($(PYTHON) web/page_sources.py)" = "$$(cat functions/admin_api/page/sources.sha256 2>/dev/null)" ] && echo yes)

functions/admin_api/page/index.html: $(if $(PAGE_IS_CURRENT),,node web/node_modules/.package-lock.json)
	digest=$$($(PYTHON) web/page_sources.py) && cd web && npm run --silent build && \
	  echo "$$digest" >../functions/admin_api/page/sources.sha256

# web/.npmrc lets npm refuse a version of Node that is too old.
.PHONY: node
node:
	@command -v node >/dev/null && command -v npm >/dev/null || { echo "The admin page is missing or older than its" \
	  "sources, and there is no Node to build it: install Node 20.19 or newer, with npm." >&2; exit 1; }

local/guildhook_local/chat_page/index.html: web/package.json web/tsconfig.json web/node_modules/.package-lock.json web/vite.chat.config.ts $(shell find web/chat -type f)
	cd web && npx --no-install vite build --logLevel warn --config vite.chat.config.ts

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

plugins/%/node_modules/.package-lock.json: plugins/%/package.json plugins/%/package-lock.json
	npm ci --prefix plugins/$* --no-audit --no-fund --loglevel=error
	@touch $@

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/local.stamp: .venv/bin/python requirements/local.txt requirements/build.txt pyproject.toml
	@# Compiled as it is imported, for `make serve` to be up soon.
	$(BIN)/python $(PIP_INSTALL) --no-compile -r requirements/local.txt -r requirements/build.txt
	$(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/dev.stamp: .venv/local.stamp requirements/dev.txt
	$(BIN)/python $(PIP_INSTALL) --no-compile -r requirements/dev.txt
	@# On all cores, and not by each process of the tests at the same time. Templates are no Python, and stay as they are.
	@$(BIN)/python -m compileall -qq --workers 0 .venv/lib || true
	@touch $@

.venv/bench.stamp: .venv/dev.stamp requirements/bench.txt
	$(BIN)/python $(PIP_INSTALL) -r requirements/bench.txt
	@touch $@

# The stamp is outside of the folder that `sam build` replaces. The SAM CLI's Python provides pip, and bytecode is made by
# the python3.13 beside PYTHON, or by that of PATH.
.aws-sam/stamp: .venv-sam/stamp functions/admin_api/page/index.html template.yaml requirements/layers.txt $(shell find functions layers infra migrations -type f -not -name '*.pyc' -not -path '*/page/*')
	@mkdir -p .aws-sam
	MAKEFLAGS= PYTHON=python3 PATH="$(CURDIR)/.venv-sam/bin:$(if $(findstring /,$(PYTHON)),$(dir $(PYTHON)):)$$PATH" $(SAM) build >.aws-sam/log 2>&1 || { cat .aws-sam/log; exit 1; }
	@grep '^guildhook: ' .aws-sam/log || true
	@touch $@

.venv-sam/stamp: requirements/sam.txt
	$(PYTHON) -m venv .venv-sam
	.venv-sam/bin/python $(PIP_INSTALL) -r requirements/sam.txt
	@touch $@

.venv-release/stamp: requirements/release.txt requirements/build.txt
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/python $(PIP_INSTALL) -r requirements/release.txt -r requirements/build.txt
	@touch $@

.venv-docs/stamp: requirements/docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(PIP_INSTALL) -r requirements/docs.txt
	@touch $@

.venv-policy/stamp: requirements/policy.txt
	$(PYTHON) -m venv .venv-policy
	.venv-policy/bin/python $(PIP_INSTALL) -r requirements/policy.txt
	@touch $@

.venv-lock/stamp: requirements/lock.txt
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(PIP_INSTALL) -r requirements/lock.txt
	@touch $@
