from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from typing import TYPE_CHECKING

import pytest

from certwright import acme
from certwright.acme import errors
from certwright.http import errors as http
from certwright.portable import PortableError

if TYPE_CHECKING:
    from types import ModuleType


def test_all_names_each_thing_once_and_only_what_is_there() -> None:
    assert len(acme.__all__) == len(set(acme.__all__))
    assert [name for name in acme.__all__ if not hasattr(acme, name)] == []


def test_everything_imported_into_the_package_is_exported() -> None:
    public = {name for name, value in vars(acme).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public == set(acme.__all__)


def test_every_error_of_every_module_is_exported_and_an_acme_error() -> None:
    for module in pkgutil.iter_modules(acme.__path__):
        members = vars(importlib.import_module(f"certwright.acme.{module.name}"))
        for name, value in members.items():
            if inspect.isclass(value) and issubclass(value, Exception) and value.__module__.startswith("certwright."):
                if value is PortableError:
                    continue
                assert issubclass(value, acme.AcmeError), name
                assert name in acme.__all__


def test_every_public_class_is_documented() -> None:
    undocumented = [
        name for name in acme.__all__ if inspect.isclass(getattr(acme, name)) and not getattr(acme, name).__doc__
    ]
    assert undocumented == []


@pytest.mark.parametrize(("module", "root"), [(errors, acme.AcmeError), (http, http.HttpError)])
def test_the_hierarchy_that_the_page_of_errors_shows_is_that_of_the_classes(
    module: ModuleType, root: type[Exception]
) -> None:
    shown: dict[str, str] = {}
    above = [root.__name__]
    for indent, name in re.findall(r"^( +)· (\w+)", module.__doc__ or "", flags=re.MULTILINE):
        depth = len(indent) // 2
        above[depth:] = [name]
        shown[name] = above[depth - 1]
    package = acme if module is errors else module
    for name, parent in shown.items():
        bases = getattr(package, name).__bases__
        assert getattr(package, parent) in bases, name
    kinds = {name for name, kind in vars(package).items() if inspect.isclass(kind) and issubclass(kind, root)} - {
        root.__name__
    }
    of_problems = {name for name in kinds if issubclass(getattr(package, name), acme.ProblemError)} - {"ProblemError"}
    assert set(shown) == kinds - of_problems
