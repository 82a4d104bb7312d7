# Every target sets up what it needs and is missing; setup/ has one small script for each thing.

CHAIN ?= embedded
TIME ?= 120
PACE ?= 400
ROUNDS ?= 1000
SEED ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
SHELL := /bin/bash

# Tools that set-up installed lie where cargo puts its own.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin
# Queries are checked against .sqlx, so no build needs a database.
export SQLX_OFFLINE ?= true
# What tests and the demo run on the chain.
export REBATE_PROGRAM_SO ?= $(CURDIR)/target/program/rebate.so
export REBATE_SELFTEST_SO ?= $(CURDIR)/target/program/selftest.so

target := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# No --package anywhere: cargo would choose features for that package alone, and build most crates once more.
program_crate := --manifest-path programs/rebate/Cargo.toml --target-dir $(target)/host-program
with_postgres = $(target)/debug/rebate-local postgres --volatile --dir .local/test-postgres --

.PHONY: help demo test screenshots simulate-faults fuzz bench program idl lint sqlx clean-local

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## an evening of payments, to watch in a browser; ONCE=1 ends after the summary, CHAIN=validator on a real validator
	@case "$(CHAIN)" in embedded|validator) ;; *) echo "CHAIN=$(CHAIN) is unknown; embedded and validator are known" >&2; exit 2 ;; esac
	@setup/rust
	@setup/postgres
	@$(if $(filter validator,$(CHAIN)),setup/validator)
	@setup/program
	@cargo run --locked --bin rebate -- demo --chain $(CHAIN) $(if $(ONCE),--once,--pace $(PACE))

# The tests across folders run the commands; nextest builds a command only for the tests of its own package.
test: ## every test, on a real Postgres, a real NATS and a real validator
	@setup/rust
	@setup/postgres
	@setup/nextest
	@setup/validator
	@setup/nats
	@setup/browser
	@setup/schemathesis
	@setup/npm examples/typescript
	@{ command -v g++ && command -v patch; } >/dev/null || setup/packages g++ patch
	@setup/program
	cargo test --locked $(program_crate)
	cargo build --locked --workspace --bins
	$(with_postgres) cargo nextest run --locked --workspace

screenshots: ## the pictures of the console in docs/screenshots
	@setup/rust
	@setup/postgres
	@setup/nextest
	@setup/browser
	@setup/program
	cargo build --locked --workspace --bins
	@mkdir -p docs/screenshots
	REBATE_SCREENSHOTS=$(CURDIR)/docs/screenshots $(with_postgres) cargo nextest run --locked --workspace \
		-E 'package(rebate-tests) & test(/^console::/)'

simulate-faults: ## rounds of faults between chain, indexer and Postgres; SEED=… ROUNDS=1000, and a seed plays the same again
	@setup/rust
	@setup/postgres
	@setup/nextest
	@setup/program
	cargo build --locked --workspace --bins
	REBATE_FAULTS_SEED=$(SEED) REBATE_FAULTS_ROUNDS=$(ROUNDS) $(with_postgres) cargo nextest run --locked --workspace \
		--profile faults --no-capture -E 'package(rebate-indexer) & test(/^faults::/)'

# Deps are those of `make bench`; only the crates that libFuzzer looks into are compiled anew.
fuzz: ## looks for inputs that break the record parser or the program, TIME=120 seconds each
	@setup/rust
	@setup/fuzz
	@setup/program
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/fuzz/instrument cargo build --locked --release --features rebate-fuzz/libfuzzer \
		--bin fuzz-records --bin fuzz-program
	@fuzz/run $(target)/release $(target)/fuzz $(TIME)

bench: ## what it costs and how fast it is, into target/bench/report.json
	@setup/rust
	@setup/postgres
	@setup/validator
	@setup/program
	@setup/program --silent
	@setup/program --profile
	cargo build --locked --release --workspace --bins --bench events --bench callbacks --bench outbox --bench payments --bench load
	@mkdir -p $(target)/bench
	$(target)/release/rebate-local postgres --dir .local/bench-postgres -- \
		cargo bench --locked --workspace --bench events >$(target)/bench/figures.jsonl
	$(target)/release/rebate-local postgres --dir .local/bench-postgres -- \
		cargo bench --locked --workspace --bench callbacks >>$(target)/bench/figures.jsonl
	$(target)/release/rebate-local postgres --dir .local/bench-postgres -- \
		cargo bench --locked --workspace --bench outbox >>$(target)/bench/figures.jsonl
	$(target)/release/rebate-local postgres --dir .local/bench-postgres -- \
		cargo bench --locked --workspace --bench payments >>$(target)/bench/figures.jsonl
	$(target)/release/rebate-local postgres --dir .local/bench-postgres -- \
		cargo bench --locked --workspace --bench load >>$(target)/bench/figures.jsonl
	$(target)/release/rebate bench --figures $(target)/bench/figures.jsonl --report $(target)/bench/report.json

program: ## the program for the chain, into target/program/rebate.so
	@setup/rust
	@setup/program

idl: ## the program's interface, into idl/rebate.json
	@setup/rust
	@setup/idl

lint: ## formatting, clippy, and whether generated files are fresh
	@setup/rust lint
	@setup/postgres
	cargo fmt --all --check
	cargo fmt --check --manifest-path programs/rebate/Cargo.toml
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked $(program_crate) --all-targets -- -D warnings
	setup/sqlx --check

sqlx: ## the data in .sqlx that queries are checked against without a database
	@setup/rust
	@setup/postgres
	@setup/sqlx

clean-local: ## away with .local, where the demo's and the tests' databases are
	@setup/clean-local
