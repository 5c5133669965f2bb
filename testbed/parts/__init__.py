"""The programs that make up a bed."""
