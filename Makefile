# make demo · make test · make soak · make bench · make verify-tool
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8400
ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint soak bench verify-tool clean help browser servers provider

help:
	@grep -E '^# make' Makefile; echo "make demo ARGS='--no-serve --json'  figures only; PORT=8401 another port"

$(VENV)/base:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Troth needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 3; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 cannot make a virtual environment; install it: apt-get install python3-venv"; exit 3; }
	@touch $@

$(VENV)/demo: pyproject.toml constraints.txt | $(VENV)/base
	@$(BIN)/pip install -q -c constraints.txt -e '.[demo]' || { echo "installing failed; check the network and try again"; exit 3; }
	@touch $@

$(VENV)/test: pyproject.toml constraints.txt | $(VENV)/base
	@$(BIN)/pip install -q -c constraints.txt -e '.[test]' || { echo "installing failed; check the network and try again"; exit 3; }
	@touch $@ $(VENV)/demo

demo: $(VENV)/demo
	@$(BIN)/troth demo --folder demo-workspace --port $(PORT) $(ARGS)

browser:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium >/dev/null; \
	  else echo "the page tests need Chromium; install it: sudo apt-get install chromium"; exit 3; fi; }

# Real servers and instruments of the tests, each started privately: databases for the scans, nginx
# and systemd-analyze for the server guide, strace for broken system calls.
SERVERS := postgresql mariadb-server nginx-light systemd strace openssl
servers:
	@{ ls /usr/lib/postgresql/*/bin/initdb && command -v mariadbd && { command -v nginx || ls /usr/sbin/nginx; } \
	   && command -v systemd-analyze && command -v strace && command -v openssl; } >/dev/null 2>&1 || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $(SERVERS) >/dev/null; \
	  else echo "the tests need some servers; install them: sudo apt-get install $(SERVERS)"; exit 3; fi; }

# The identity provider of the sign-in tests; installed beside the tests' own packages.
provider: $(VENV)/node/installed

$(VENV)/node/installed: tests/provider/package.json | $(VENV)/base
	@command -v npm >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y nodejs npm >/dev/null; \
	  else echo "the sign-in tests need Node and npm; install them: sudo apt-get install nodejs npm"; exit 3; fi; }
	@node -e 'process.exit(+(process.versions.node.split(".")[0] < 20))' || { echo "the sign-in tests need Node 20 or newer"; exit 3; }
	@mkdir -p $(VENV)/node && cp tests/provider/package.json $(VENV)/node/
	@cd $(VENV)/node && npm install --no-audit --no-fund --silent || { echo "installing failed; check the network and try again"; exit 3; }
	@touch $@

lint: $(VENV)/test
	$(BIN)/ruff check src tests bench tools
	$(BIN)/ruff format --check src tests bench tools
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two halves side by side, one a core: what people see and pure craft, and all that covers the kernel.
FACE := tests/surfaces tests/attacks tests/demo tests/engines tests/crash tests/tools

test: $(VENV)/test browser provider servers lint
	@$(BIN)/python -m pytest -m "not soak" -o cache_dir=$(VENV)/cache-face $(FACE) > $(VENV)/face.log 2>&1 & face=$$!; \
	$(BIN)/python -m coverage run -m pytest -m "not soak" $(FACE:%=--ignore=%) src tests; core=$$?; \
	wait $$face; pages=$$?; cat $(VENV)/face.log; exit $$(( core | pages ))
	$(BIN)/python -m coverage report --fail-under=100

soak: $(VENV)/test browser provider servers
	$(BIN)/python -m pytest -m soak

bench: $(VENV)/test
	@for file in bench/[a-z]*.py; do case $$file in bench/*_sink.py) ;; *) echo "== $$file"; $(BIN)/python $$file || exit 1;; esac; done

verify-tool: $(VENV)/demo
	@$(BIN)/python tools/verify_tool.py

clean:
	rm -rf $(VENV) demo-workspace dist build src/*.egg-info
