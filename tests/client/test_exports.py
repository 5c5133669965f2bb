from __future__ import annotations

import importlib
import inspect
import pkgutil

from certwright import challenges, client
from certwright.acme import AcmeError


def test_all_names_each_thing_once_and_only_what_is_there() -> None:
    assert len(client.__all__) == len(set(client.__all__))
    assert [name for name in client.__all__ if not hasattr(client, name)] == []


def test_everything_imported_into_the_package_is_exported() -> None:
    public = {name for name, value in vars(client).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public == set(client.__all__)


def test_every_error_of_every_module_is_exported_and_an_acme_error() -> None:
    modules = [
        module.name
        for package in (client, challenges)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    assert "certwright.challenges.webroot" in modules
    for module in modules:
        for name, value in vars(importlib.import_module(module)).items():
            if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ in modules:
                assert issubclass(value, AcmeError), name
                assert name in client.__all__


def test_everything_public_is_documented() -> None:
    things = [getattr(client, name) for name in client.__all__]
    made_here = [thing for thing in things if inspect.isclass(thing) or inspect.isfunction(thing)]
    assert len(made_here) > len(things) / 2
    assert [thing for thing in made_here if not thing.__doc__] == []


def test_the_synchronous_facade_has_the_same_arguments() -> None:
    from certwright.client import sync  # noqa: PLC0415

    left_out = {"client"}
    for name in ("issue", "renew", "revoke", "discover"):
        there = inspect.signature(getattr(client, name)).parameters
        here = inspect.signature(getattr(sync.SyncClient, name)).parameters
        assert [*here][1:] == [argument for argument in there if argument not in left_out], name
    assert [*inspect.signature(sync.connect).parameters] == [*inspect.signature(client.connect).parameters]


def test_a_renewal_takes_what_an_issuance_takes() -> None:
    from_the_certificate = {"common_name", "replaces"}
    issued, renewed = (inspect.signature(function).parameters for function in (client.issue, client.renew))
    assert set(issued) - set(renewed) == from_the_certificate
    assert set(renewed) - set(issued) == {"certificate_pem"}


def test_a_pending_certificate_takes_what_an_issuance_takes() -> None:
    in_itself = {"names", "key", "common_name", "contents", "resume"}
    issued, pending = (
        inspect.signature(function).parameters for function in (client.issue, client.PendingCertificate.issue)
    )
    assert set(issued) - set(pending) == in_itself
    assert set(pending) - set(issued) == {"self", "keep"}
