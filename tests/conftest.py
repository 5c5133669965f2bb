"""The test bed's fixtures, for every folder of tests."""

pytest_plugins = ["testbed.pytest_plugin"]
