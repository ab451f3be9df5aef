"""What all tests share, here and in `apps/`: see tests/fixtures.py."""

pytest_plugins = ["tests.fixtures"]
