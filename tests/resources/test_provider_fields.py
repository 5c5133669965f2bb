"""The settings of a DNS provider outside of Kubernetes come from its model, whichever it is."""

from __future__ import annotations

import base64
from collections.abc import Mapping  # noqa: TC003 - pydantic reads it at run time
from typing import Any, Literal, Self

import pytest
from pydantic import Field, model_validator

from certwright.dns.providers import PROVIDERS
from certwright.resources.base import Model
from certwright.resources.dns_providers.base import DnsProvider, InCluster
from certwright.resources.dns_providers.fields import (
    InvalidSettings,
    Settings,
    fields_of,
    name_in_issuer,
    provider_models,
)
from certwright.resources.references import SecretKeyRef

SECRET = "s3cr3t-of-the-test"


class Login(Model):
    client_id: str = Field(alias="clientID")
    """The ID of the client."""
    client_secret_secret_ref: SecretKeyRef
    """The Secret entry that holds the client secret."""


class Identity(InCluster):
    name: str


class Toy(DnsProvider):
    """A provider with everything that a model can have."""

    project: str
    """The project."""
    mode: Literal["Fast", "Slow"] = "Slow"
    """How it works."""
    access_key_id: str | None = Field(default=None, alias="accessKeyID")
    """The access key."""
    access_key_id_secret_ref: SecretKeyRef | None = Field(default=None, alias="accessKeyIDSecretRef")
    """The Secret entry that holds the access key."""
    account_secret_ref: SecretKeyRef | None = None
    """The Secret entry that holds the account. Excludes loginSecretRef."""
    login: Login | None = None
    """How to log in."""
    identity: Identity | None = None
    """The ServiceAccount to be."""
    hosts: tuple[str, ...] = ()
    """Names of hosts."""
    secret_refs: Mapping[str, SecretKeyRef] = {}
    """Further secrets."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.account_secret_ref is not None and self.login is not None:
            raise ValueError("accountSecretRef and login exclude each other")
        return self


PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
ENCODED = base64.b64encode(PEM.encode()).decode()


class Bundled(DnsProvider):
    ca_bundle: str = Field(alias="caBundle")
    """Certificates."""


def settings(**values: Any) -> Settings:
    return Settings(Toy, values, lambda path, _: (f"content of {path}", path), lambda field: f"{field} in a file")


def problems(**values: Any) -> str:
    with pytest.raises(InvalidSettings) as caught:
        settings(**values)
    assert SECRET not in str(caught.value)
    return "; ".join(caught.value.problems)


def test_a_secret_is_written_in_the_place_of_its_reference() -> None:
    made = settings(project="p", account=SECRET)
    [(name, reference)] = made.model.credentials().items()
    assert (name, made.secret(reference)) == ("account", (SECRET, "account in a file"))
    assert made.model.settings()["project"] == "p"


def test_a_secret_is_in_a_file_of_its_own() -> None:
    made = settings(project="p", accountFile="key.json", accessKeyIDFile="id")
    found = {name: made.secret(reference) for name, reference in made.model.credentials().items()}
    assert found == {"account": ("content of key.json", "key.json"), "access_key_id": ("content of id", "id")}


def test_a_secret_that_providers_hand_out_as_json_may_be_written_as_it_is() -> None:
    made = settings(project="p", account={"user": "u"})
    assert made.secret(made.model.credentials()["account"])[0] == '{"user": "u"}'


def test_parts_and_maps_have_secrets_as_well() -> None:
    made: Any = settings(project="p", login={"clientID": "c", "clientSecret": SECRET}, secretRefs={"a": "1", "b": "2"})
    assert made.secret(made.model.login.client_secret_secret_ref) == (SECRET, "login.clientSecret in a file")
    assert {key: made.secret(one)[0] for key, one in made.model.secret_refs.items()} == {"a": "1", "b": "2"}


@pytest.mark.parametrize("written", [{"caBundle": PEM}, {"caBundleFile": "ca.pem"}, {"caBundle": ENCODED}])
def test_certificates_are_in_pem_in_a_file_or_as_in_an_issuer(written: dict[str, str]) -> None:
    made: Any = Settings(Bundled, written, lambda path, _: (PEM, path), str)
    assert made.model.ca_bundle == ENCODED
    [field] = fields_of(Bundled)
    assert (field.has_file, field.file) == (True, "caBundleFile")
    with pytest.raises(InvalidSettings, match="caBundle and caBundleFile: give one of them"):
        Settings(Bundled, {"caBundle": PEM, "caBundleFile": "ca.pem"}, lambda path, _: (PEM, path), str)


def test_a_value_beside_its_reference_is_the_plain_one() -> None:
    assert settings(project="p", accessKeyID="AKIA").model.settings()["access_key_id"] == "AKIA"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "project: is missing"),
        ({"project": "p", "accout": SECRET}, "accout: is not a field; did you mean account[?]"),
        ({"project": "p", SECRET: "x"}, "a name in it is not a field: those are project, mode,"),
        ({"project": "p", "abcdef": None}, "a name in it is not a field"),
        (
            {"project": "p", "accountSecretRef": {"name": SECRET}},
            "accountSecretRef: is for Issuers; write account",
        ),
        ({"project": "p", "account": SECRET, "accountFile": "x"}, "account and accountFile: give one of them"),
        ({"project": "p", "account": 12}, "account: must be a text; put it in quotes"),
        ({"project": "p", "account": " \n"}, "account: is empty"),
        ({"project": "p", "accountFile": 1}, "accountFile: must be the path of a file"),
        ({"project": "p", "mode": SECRET}, "mode: Input should be 'Fast' or 'Slow'"),
        ({"project": "p", "identity": {"name": "a"}}, "identity: is for Issuers only"),
        ({"project": "p", "login": {"clientID": "c"}}, "login.clientSecret: is missing"),
        ({"project": "p", "login": {"clientId": "c"}}, "login.clientId: is not a field; did you mean clientID"),
        ({"project": "p", "login": SECRET}, "login: "),
        (
            {"project": "p", "account": SECRET, "login": {"clientID": "c", "clientSecret": SECRET}},
            "^account and login exclude each other",
        ),
    ],
)
def test_what_is_wrong_is_told_by_field_in_the_words_of_the_file_and_without_a_value(
    values: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidSettings, match=problem):
        settings(**values)
    problems(**values)


def test_the_fields_are_listed_with_what_they_mean() -> None:
    found = {field.name: field for field in fields_of(Toy)}
    assert list(found) == [
        *("project", "mode", "accessKeyID", "accessKeyIDFile", "account"),
        *("login", "login.clientID", "login.clientSecret", "", "hosts", "secretRefs"),
    ]
    account = found["account"]
    assert (account.issuer, account.attribute, account.file) == ("accountSecretRef", "account", "accountFile")
    assert account.meaning == "The account. Excludes login."
    assert (account.is_secret, account.is_required, found["project"].is_required) == (True, False, True)
    assert (found["mode"].default, found["mode"].values) == ('"Slow"', ("Fast", "Slow"))
    assert (found[""].issuer, found[""].is_for_issuers, account.is_for_issuers) == ("identity", True, False)
    nested = found["login.clientSecret"]
    assert (nested.issuer, nested.attribute) == ("login.clientSecretSecretRef", "login.client_secret")


def test_every_provider_has_a_model_whose_fields_say_what_they_are() -> None:
    models = provider_models()
    assert models.keys() == PROVIDERS.keys() | {"webhook"}
    for name, model in models.items():
        assert model.__doc__, name
        for field in fields_of(model):
            assert field.meaning.endswith("."), f"{name}: {field.issuer}"
            assert "SecretRef" not in field.meaning
        assert name_in_issuer(name).lower() == name.replace("_", "").lower()
