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

test: .venv/ready ## Install the servers and run the tests, without the long ones
	@scripts/servers
	@.venv/bin/pytest --numprocesses 2 -m "not long"

test-all: .venv/ready ## Run all tests
	@scripts/servers
	@.venv/bin/pytest --numprocesses 2

test-fast: .venv/ready ## Run the tests that need no server and no environment
	@.venv/bin/pytest --numprocesses 2 tests/test_template.py tests/test_hooks.py \
		tests/test_bake.py

drill: .venv/ready ## Run the drills and print the table of promises
	@scripts/servers
	@.venv/bin/pytest --numprocesses 2 tests/drill tests/server

bench: .venv/ready ## Compare with bare Django and write the results to bench/
	@scripts/servers
	@.venv/bin/python -m bench

lint: .venv/ready ## Check the format of the template's own code and lint it
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/shellcheck --external-sources --source-path="$(wildcard */deploy/..)" \
		scripts/* .ci/run */deploy/server/setup \
		*/deploy/kubernetes/environment */deploy/kubernetes/kubectl
