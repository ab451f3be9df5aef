.DEFAULT_GOAL := help
.PHONY: help demo serve test test-all test-fast drill bench lint

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.venv/ready: pyproject.toml scripts/setup
	@scripts/setup

demo: .venv/ready ## Bake the default project into build/, test it, check it
	@scripts/demo

serve: ## Start the project of `make demo` on http://127.0.0.1:8000
	@test -d build/my_project || { echo "Run make demo first" >&2; exit 1; }
	@cd build/my_project && .venv/bin/python manage.py runserver 127.0.0.1:8000

test: .venv/ready ## Everything the tests need, then each promise in a short form
	@scripts/servers
	@.venv/bin/pytest --numprocesses 2 -m "not long"

test-all: .venv/ready ## The longer forms too
	@scripts/servers
	@.venv/bin/pytest --numprocesses 2

test-fast: .venv/ready ## The tests that need no server and no environment
	@.venv/bin/pytest --numprocesses 2 tests/test_template.py tests/test_hooks.py \
		tests/test_bake.py

drill: .venv/ready ## The promises alone, kept in trouble, with their figures
	@scripts/servers
	@.venv/bin/pytest --numprocesses 2 tests/drill

bench: .venv/ready ## Measure against bare Django, into bench/RESULTS.md and results.svg
	@scripts/servers
	@.venv/bin/python -m bench

lint: .venv/ready ## Format and lint check of the template's own code
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/shellcheck scripts/* .ci/run
