from __future__ import annotations

import importlib
import inspect
import pkgutil

from certwright import acme


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
            if inspect.isclass(value) and issubclass(value, Exception) and value.__module__.startswith("certwright"):
                assert issubclass(value, acme.AcmeError), name
                assert name in acme.__all__


def test_every_public_class_is_documented() -> None:
    undocumented = [
        name for name in acme.__all__ if inspect.isclass(getattr(acme, name)) and not getattr(acme, name).__doc__
    ]
    assert undocumented == []
