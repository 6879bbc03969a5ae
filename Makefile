# `make` alone prints this index.

CARGO_LAMBDA := .venv/bin/cargo-lambda
CARGO_LAMBDA_VERSION := 1.9.2
SERVER := functions/local/server
# Where the database of `make run` is kept.
DATA ?= .local
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(CARGO_LAMBDA) ## Serve all routes on http://localhost:9000, with a private database in .local/ (or DATABASE_URL).
	cargo build --bins --example demo
	@$(SERVER) $(DATA) functions/local/run

.PHONY: invoke
invoke: ## Send events/FN.json to the function FN of a running `make run`: make invoke FN=send_message
	@test -f events/$(FN).json || { echo "FN must be one of: $(basename $(notdir $(wildcard events/*.json)))"; exit 2; }
	@$(CARGO_LAMBDA) lambda invoke $(FN) --invoke-address 127.0.0.1 --data-file events/$(FN).json --output-format json

.PHONY: test
test: lint ## Check formats and lints, and run all tests on a private database (or DATABASE_URL; MYSQLD names a server).
	cargo test --workspace --lib --test '*' --no-run
	@SERVER_OPTIONS="--innodb-flush-log-at-trx-commit=0 $(SERVER_OPTIONS)" $(SERVER) .local/test \
	  cargo test --workspace --lib --test '*' -- $(TESTS)

.PHONY: lint
lint: ## Check formats and lints.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

.PHONY: clean
clean: ## Remove what was built and installed, and the private databases.
	rm -rf target .venv .local

$(CARGO_LAMBDA):
	@echo "Installing cargo-lambda $(CARGO_LAMBDA_VERSION) into .venv"
	@python3 -c 'import ensurepip' 2> /dev/null || { echo "and Debian's python3-venv for it"; \
	  $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -qy python3-venv; }
	@python3 -m venv .venv
	@# Without its dependency ziglang, 100 MB that only cross-compiling needs.
	@.venv/bin/pip install --quiet --no-deps cargo-lambda==$(CARGO_LAMBDA_VERSION)
