"""The command line: `certwright run` and the commands for users."""
