"""The command line: `certwright run` and the commands that people type."""
