# Every command of this project, a line or two each. `make help` explains them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# A page that is too large for its size gate is none.
.DELETE_ON_ERROR:
export PATH := $(CURDIR)/.kit-tools/bin:$(PATH)
# Nobody waits for npm's advertisements.
export npm_config_update_notifier := false
SERVICES := target/debug/oblivious with-services --
# In one go, wherever any of it is needed: the services are started by what is tested, and one choice of features is
# compiled once.
BUILD := cargo build --locked --workspace --bins --tests --examples
# What the page is built from; folders too, because a file that goes changes only them.
PAGE := $(shell find web/src web/public web/scripts web/index.html web/vite.config.ts web/tsconfig*.json)

.PHONY: help run test compat lint contracts fmt coverage bench bench-% bench-relay instructions flamegraph web-bench clean kit release page tools-% needs valgrind

help: ## Explain the commands (the default)
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: kit release ## Fetch, build and start everything; open http://127.0.0.1:8080
	target/release/oblivious prepare
	exec target/release/oblivious up

test: kit page tools-cargo-nextest ## Everything that CI runs, on private services of its own
	cd web && npm test
	$(BUILD)
	@# They wait half of their time, for clocks and for each other's processes: two more at a time than there are processors.
	$(SERVICES) cargo nextest run --workspace --locked --test-threads $$(($$(getconf _NPROCESSORS_ONLN) + 2))
	python3 tests/compat/run.py
	CHROMIUM="$$(deploy/kit/chromium.sh)"; export CHROMIUM; cd web && npm run e2e

compat: kit page ## The SDKs of OpenAI, Anthropic and Google, LangChain and LiteLLM against a server of their own
	$(BUILD)
	python3 tests/compat/run.py

chaos: kit page ## Kill everything at random and check the books: RUNS=200 SEED=… JOBS=2 KEEP_GOING=1, PLAN=1 only tells the plan
	CHAOS_RUNS=$(or $(RUNS),1) CHAOS_SEED=$(SEED) CHAOS_JOBS=$(or $(JOBS),1) CHAOS_KEEP_GOING=$(KEEP_GOING) CHAOS_PLAN=$(PLAN) \
		cargo test --quiet --locked --package oblivious --test chaos -- --ignored --exact --nocapture a_series

lint: page tools-cargo-deny ## What a reviewer should not have to say
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --quiet --locked --package oblivious --test tidy
	cargo deny --locked check bans licenses sources
	cd web && npm run lint

contracts: needs web/node_modules/.package-lock.json ## Write docs/ and the page's types from the code, where an API or an event changed
	cargo build --locked --bin oblivious
	target/debug/oblivious contracts .
	cd web && npm run types

fmt: ## Format all Rust
	cargo fmt --all

coverage: kit page tools-cargo-nextest tools-cargo-llvm-cov ## Which lines the Rust tests reach: coverage/html/index.html
	rustup component add llvm-tools
	cargo build --locked --bins --package oblivious
	$(SERVICES) cargo llvm-cov nextest --workspace --locked --html --output-dir coverage

bench: bench-write-path bench-rebuild bench-relay ## Measure against named baselines into bench/RESULTS.md; wants a quiet machine

bench-%: kit page # one of them
	@# Only what is measured has to be fast; the tests have built what starts the server.
	cargo build --locked --bin oblivious
	cargo build --release --locked --package bench
	target/debug/oblivious with-services --durable -- target/release/bench $* --write

bench-relay: kit page # Oblivious itself is measured, so it is built alike; rivals are fetched into .kit-bench
	cargo build --locked --bin oblivious
	cargo build --release --locked --package oblivious --package bench --bin oblivious --bin bench
	target/debug/oblivious with-services --durable -- target/release/bench relay --write

instructions: kit release valgrind ## Count what a request and an event take under callgrind; fails above bench/instructions.toml
	$(BUILD)
	$(SERVICES) target/debug/bench instructions

flamegraph: kit page ## Draw where the api role's processor time goes: target/flamegraph.svg; OF=free, billed or streams; wants perf
	cargo build --locked --bin oblivious
	cargo build --release --locked --package oblivious --package bench --bin oblivious --bin bench
	$(SERVICES) target/release/bench flamegraph target/flamegraph.svg --of $(or $(OF),free)

web-bench: kit page ## Bytes, accessibility and streaming cost of the page, measured in Chromium
	cargo build --release --locked --bins --package oblivious --package testkit
	CHROMIUM="$$(deploy/kit/chromium.sh)"; export CHROMIUM; cd web && \
		E2E_OBLIVIOUS=$(CURDIR)/target/release/oblivious E2E_MOCK_PROVIDER=$(CURDIR)/target/release/mock-provider npm run bench

clean: ## Delete what was built, fetched and measured; data in .oblivious stays
	rm -rf target coverage web/dist web/node_modules tests/compat/node/node_modules .kit .kit-*

kit: needs # Postgres, NATS and the local model, pinned by hash
	python3 deploy/kit/fetch.py

release: page # the executable as people run it
	cargo build --release --locked --package oblivious --bin oblivious

page: needs web/dist/index.html # built into the executable, so it comes first

web/dist/index.html: web/node_modules/.package-lock.json $(PAGE)
	cd web && npm run build

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund

tools-%:
	deploy/kit/tools.sh $*

valgrind:
	@command -v valgrind >/dev/null || deploy/kit/valgrind.sh

needs:
	@deploy/kit/needs.sh
