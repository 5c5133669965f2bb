"""`python -m testbed`."""

from .cli import main

main()
