# Corelog. `make` prints what there is; everything is built under build/ and .venv/.
.DEFAULT_GOAL := help
.PHONY: help setup run test hil bench lint board test-rust test-host test-gateware test-system gateware-check targets bootloader firmware clean

VENV := .venv/bin
LABGRID := .venv/labgrid
# Tests that hold real time against a limit run alone, the others on all cores, module by module.
PARALLEL := -n auto --dist loadfile -m "not timing"
# Those of the host's programs wait half of their time.
WAITING := $(shell expr $$(nproc) \* 3 / 2)
# FULL=1: floods of full length in tests/hil.
export FULL
# What failed beside others is tried once more alone, and says so; what fails alone fails.
AGAIN = || { echo "make: what failed is tried once more, alone"; $(VENV)/pytest -q --last-failed --last-failed-no-failures none

# What has branches for Windows, typed as there.
ON_WINDOWS := $(addprefix host/corelog/,children.py windows_job.py lab ctlmgr $(addprefix frontend/,session.py ctlmgr.py \
	client.py client_actions.py client_show.py client_tables.py doctor.py doctor_checks.py token.py common.py))

help: ## this list
	@echo "Corelog: the core device speaks. Targets:"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22
	@echo "  Programs after 'make setup': .venv/bin/corelog --help"

setup: ## install what is missing: Debian packages, .venv with all programs
	@scripts/setup

run: setup ## the whole system on the simulated board, live log (ONCE=1: end after the first collision)
	@$(VENV)/corelog demo $(if $(ONCE),--once)

board: setup ## only the simulated board, on 127.0.0.1
	@$(VENV)/corelog board

test: setup ## every test that needs no hardware (FULL=1: with the longest floods)
	@$(MAKE) --no-print-directory lint test-rust test-host test-gateware test-system gateware-check NEWEST=1 JOBS=2

lint: setup ## ruff, mypy, and where installed rustfmt and clippy
	$(VENV)/ruff check .
	$(VENV)/mypy
	MYPYPATH=host/sipyco:gateware $(VENV)/mypy --platform win32 --follow-imports=silent $(ON_WINDOWS)
	@if cargo fmt --version >/dev/null 2>&1; then cd firmware && cargo fmt --all --check; \
	else echo "lint: rustfmt is not installed, skipped"; fi
	@if cargo clippy --version >/dev/null 2>&1; then \
	cd firmware && CARGO_TARGET_DIR=../build/rust cargo clippy -q -p corelog-log -p corelog-proto -p corelog-config -p corelog-relay -p corelog-periph --all-targets -- -D warnings; \
	else echo "lint: clippy is not installed, skipped"; fi

test-rust: setup ## ring and wire formats in Rust, against models (no board)
	cd firmware && CARGO_TARGET_DIR=../build/rust cargo test --release --locked -p corelog-log -p corelog-proto -p corelog-config -p corelog-relay -p corelog-periph

test-host: setup ## host programs and protocols (no board)
	$(VENV)/pytest -q $(PARALLEL) -n $(WAITING) tests/repo tests/host $(AGAIN) tests/repo tests/host; }
	$(VENV)/pytest -q -m timing tests/host $(AGAIN) tests/host; }

test-gateware: setup ## gateware cores in simulation
	$(VENV)/pytest -q $(PARALLEL) tests/gateware $(AGAIN) tests/gateware; }

test-system: setup ## the whole system on the simulated board
	$(VENV)/corelog board --build-only
	$(VENV)/corelog board --build-only --satellites 1
	$(VENV)/corelog board --build-only --satellites 1 --vcd none
	$(VENV)/pytest -q --durations=12 $(PARALLEL) --no-loadscope-reorder tests/hil $(AGAIN) tests/hil; }
	$(VENV)/pytest -q --durations=6 -m timing tests/hil $(AGAIN) tests/hil; }

hil: $(LABGRID)/installed ## tests/hil on the board of a labgrid environment (TARGET=FILE; default: the simulated board)
	PYTHONPATH=$(LABGRID) $(VENV)/python -m corelog.lab.hil $(TARGET) $(if $(ARGS),-- $(ARGS))

# A folder of its own: labgrid brings a pyserial that would replace the one of the tests without hardware.
$(LABGRID)/installed: requirements-hil.lock | setup
	$(VENV)/python -m pip install -q --disable-pip-version-check --no-deps --upgrade --target $(@D) -r $<
	touch $@

gateware-check: .venv/yosys-installed ## clocks, constraints, size, registers of every board (VARIANT=NAME: of one; JOBS=N at a time; NEWEST=1: sizes of the latest revisions)
	@$(VENV)/python -m corelog_gateware.check --jobs $(or $(JOBS),1) $(if $(NEWEST),--newest) $(VARIANT)

.venv/yosys-installed: requirements-check.lock | setup
	$(VENV)/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@

targets: setup ## Verilog, constraints and constants of every real board, in build/VARIANT
	@$(VENV)/python -m corelog_gateware.targets build

bootloader: targets ## their bootloaders; installs a RISC-V C compiler
	@scripts/setup-bootloader
	@$(VENV)/python -m corelog_gateware.bootloader build/kasli-* build/kc705-*

firmware: targets ## their firmware: build/VARIANT/software/runtime/runtime.fbi or satman/satman.fbi
	@$(VENV)/python -m corelog_gateware.firmware build/kasli-* build/kc705-*

bench: setup ## cycle counts and rates, beside the recorded ones
	@$(VENV)/python tests/bench/bench.py

clean: ## remove what was built (not .venv)
	rm -rf build
