"""Runs inside the finished root, as the image's user: imports every module of Certwright."""

import importlib
import pkgutil
import sys

import certwright
from certwright.cli.lean import import_lean


def main() -> int:
    """Import all modules; print those that fail, and return 1 if there are any."""
    # As `certwright run` does: the blocking half of the Kubernetes client is not in the image.
    import_lean()
    failed = 0
    number = 0
    for module in pkgutil.walk_packages(certwright.__path__, "certwright."):
        if module.name.endswith(".__main__"):
            continue
        number += 1
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            print(f"{module.name}: {error}", file=sys.stderr)
            failed += 1
    print(f"{number} modules, {failed} cannot be imported")
    return 1 if failed or not number else 0


if __name__ == "__main__":
    sys.exit(main())
