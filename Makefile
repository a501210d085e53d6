# One verb each; `make help` lists them. CI runs the same targets (see .ci/run).
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/uv-$(UV_VERSION)/bin/uv
RUN := .venv/bin
# The fast tests share nothing but the machine; a file's tests stay together, for what the file sets up once.
PARALLEL := --numprocesses=auto --dist=loadfile
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE := copy
# A shell that forbids bytecode would make every command compile everything it imports again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint bench format unit e2e fixes guides tools chart-record oracle oracle-focus oracle-go oracle-kubernetes reference image production

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## create .venv from the lock

.venv/.ready: uv.lock pyproject.toml | $(UV)
	$(UV) sync --frozen --quiet --extra local --python "$(PYTHON)"
	@touch $@

$(UV):
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "keyless: $(PYTHON) is $$($(PYTHON) --version); Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 2; }
	"$(PYTHON)" -m venv .tools/uv-$(UV_VERSION)
	.tools/uv-$(UV_VERSION)/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

demo: setup ## set up, then both guides end to end on a fresh local Space
	$(RUN)/keyless demo

# Both goals name `unit`: `make check test` runs the fast tests once, after what fails sooner.
check: lint unit ## format, lint, types, imports, fast tests

lint: setup ## format, lint, types, imports
	$(RUN)/ruff format --check src tests image
	$(RUN)/ruff check src tests image
	$(RUN)/mypy
	$(RUN)/lint-imports

format: setup ## rewrite the sources in the house format
	$(RUN)/ruff check --fix src tests image
	$(RUN)/ruff format src tests image

unit: setup ## the fast tests alone
	$(RUN)/pytest -q $(PARALLEL) tests/unit

tools: setup ## fetch the real clients (kubectl, helm, aws, SDKs) into .tools
	$(RUN)/python -m tests.tools

e2e: setup tools ## end-to-end tests on the local Space
	$(RUN)/pytest -q tests/e2e

fixes: setup tools ## run each command that `keyless verify` prints, end to end (some five minutes)
	$(RUN)/pytest -q tests/e2e/test_fixes.py

guides: setup tools ## the two guides, word for word, with kubectl, helm and aws
	$(RUN)/pytest -q tests/guides

test: setup tools unit ## set up, then all tests
	$(RUN)/pytest -q $(PARALLEL) tests/conformance
	$(RUN)/pytest tests/e2e tests/guides

bench: setup ## speed and memory against the peers, in one run
	$(RUN)/python -m tests.bench

chart-record: setup tools ## render the chart and carry the release record as data
	$(RUN)/python -m tests.chart_record

oracle: setup ## ask moto anew what changed in the data services' suites, and record it
	PYTHONPATH=tests $(RUN)/python -m conformance.data_services.record

oracle-focus: setup ## ask FinOps' own validator anew what it makes of our FOCUS, and record it
	$(UV) venv --quiet --clear --python "$(PYTHON)" .tools/focus-validator
	$(UV) pip install --quiet --python .tools/focus-validator/bin/python 'focus-validator==1.0.0' 'multimethod<2' 'sqlalchemy<2'
	PYTHONPATH=tests:. $(RUN)/python -m conformance.focus.record .tools/focus-validator

oracle-go: setup ## ask Go's own libraries anew what they make of the recorded cases
	cd tests/conformance/go_oracle && go build -o "$(CURDIR)/.tools/go-oracle" .
	PYTHONPATH=tests $(RUN)/python -m conformance.go_oracle.record_values .tools/go-oracle
	PYTHONPATH=tests $(RUN)/python -m conformance.templates.record .tools/go-oracle

oracle-kubernetes: setup ## ask a real API server anew: BIN=folder with kube-apiserver and etcd
	PYTHONPATH=tests $(RUN)/python -m conformance.kubernetes.record_interactions "$(BIN)"
	PYTHONPATH=tests $(RUN)/python -m conformance.kubernetes.record_cel_costs "$(BIN)"

image: setup ## build the OCI images (keyless, keyless-cloud) into dist/ (needs buildah and mmdebstrap)
	$(RUN)/python -m image.build $(if $(ARCH),--arch $(ARCH))

# Apart from `test`: the parts of a real Kubernetes take half an hour to build, and a node takes root and containerd.
production: setup tools image ## install image and chart on a real one-node Kubernetes (root, containerd; the first run builds for half an hour)
	$(RUN)/python -m pytest -q -x tests/production

reference: setup ## write the generated parts of docs/reference
	$(RUN)/python -m tests.generate.reference
