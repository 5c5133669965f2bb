"""`--dns-credentials`: files in YAML or JSON, and variables, become the configuration of a provider."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from certwright.cli.acme.dns_credentials import (
    PREFIX,
    all_providers,
    load_config,
    provider_name,
    variables_of,
    without_secrets,
)
from certwright.cli.acme.exits import UsageError
from certwright.cli.exits import CommandError
from certwright.dns.providers import PROVIDERS

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cr3t-of-the-test"
TSIG = {"nameserver": "ns1.example", "tsigKeyName": "k"}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def read_by_others() -> list[Path]:
    return []


def loaded(path: Path, text: str, provider: str = "cloudflare", warned: list[Path] | None = None) -> Any:
    (path / "file").write_text(text)
    return load_config(provider, path / "file", (warned if warned is not None else []).append)


@pytest.mark.parametrize("text", [f"apiToken: {SECRET}\n", json.dumps({"apiToken": SECRET}, indent="\t")])
def test_a_file_is_yaml_or_json(tmp_path: Path, text: str, read_by_others: list[Path]) -> None:
    config = loaded(tmp_path, text, warned=read_by_others)
    assert (config.api_token.value, config.api_token.source) == (SECRET, f"apiToken in {tmp_path / 'file'}")
    assert read_by_others == [tmp_path / "file"]
    assert SECRET not in repr(config)


def test_a_secret_in_a_file_of_its_own_is_beside_the_other_and_looked_after_as_well(
    tmp_path: Path, read_by_others: list[Path]
) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    config = loaded(tmp_path, "apiTokenFile: token", warned=read_by_others)
    assert (config.api_token.value, config.api_token.source) == (SECRET, str(tmp_path / "token"))
    assert read_by_others == [tmp_path / "file", tmp_path / "token"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SECRET, "has no fields"),
        (f"- {SECRET}", "has no fields"),
        ("", "must have exactly one of apiToken and apiKey"),
        (f"apiToken: '{SECRET}", "is not valid YAML, at line"),
        (f'{{"apiToken": {SECRET}}}', "is not valid JSON, at line 1"),
        (f"apiToken: {SECRET}\napiToken: {SECRET}", "a field is there twice"),
        (f'{{"apiToken": "a", "apiToken": "{SECRET}"}}', "a field is there twice"),
        (f"email: &a {SECRET}\napiToken: *a", "aliases"),
        (f"apiToken: !!python/name:os.{SECRET} x", "is not valid YAML"),
        (f"apiToken: {SECRET}\napiKey: {SECRET}", "must have exactly one of apiToken and apiKey"),
        (f"apiKey: {SECRET}", "apiKey needs the email address of the account in email"),
        (f"token: {SECRET}", "token: is not a field"),
        ("[" * 5000, "is not valid YAML|nested too deeply"),
        ("{" * 5000, "is not valid JSON"),
    ],
)
def test_a_mistake_is_told_with_the_file_and_without_a_value(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        loaded(tmp_path, text)
    assert str(tmp_path / "file") in str(caught.value)
    assert SECRET not in str(caught.value)


def test_files_that_are_missing_too_long_or_no_text_are_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Cannot read the credentials of the DNS provider"):
        load_config("cloudflare", tmp_path / "none", lambda _: None)
    with pytest.raises(CommandError, match="Cannot read the file that apiTokenFile in"):
        loaded(tmp_path, "apiTokenFile: none")
    with pytest.raises(CommandError, match="is longer than 65536 bytes"):
        loaded(tmp_path, "#" * 65537)
    (tmp_path / "file").write_bytes(b"apiToken: \xff")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        load_config("cloudflare", tmp_path / "file", lambda _: None)


def test_without_a_file_the_fields_are_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CERTWRIGHT_DNS_NAMESERVER", "ns1.example")
    monkeypatch.setenv("CERTWRIGHT_DNS_TSIG_KEY_NAME", "k")
    (tmp_path / "secret").write_text("c2VjcmV0\n")
    monkeypatch.setenv("CERTWRIGHT_DNS_TSIG_SECRET_FILE", str(tmp_path / "secret"))
    config: Any = load_config("rfc2136", None, lambda _: None)
    assert (config.nameserver, config.tsig_secret.value) == ("ns1.example", "c2VjcmV0")
    monkeypatch.delenv("CERTWRIGHT_DNS_TSIG_SECRET_FILE")
    monkeypatch.setenv("CERTWRIGHT_DNS_TSIG_SECRET", "b3RoZXI=")
    config = load_config("rfc2136", None, lambda _: None)
    assert (config.tsig_secret.value, config.tsig_secret.source) == ("b3RoZXI=", "$CERTWRIGHT_DNS_TSIG_SECRET")
    assert "b3RoZXI=" not in without_secrets(os.environ).values()


def test_a_variable_that_is_none_of_its_fields_is_told_and_one_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"of apiToken and apiKey.*CERTWRIGHT_DNS_API_TOKEN.*dns list cloudf"):
        load_config("cloudflare", None, lambda _: None)
    monkeypatch.setenv("CERTWRIGHT_DNS_API_TOKN", SECRET)
    with pytest.raises(
        UsageError, match=r"CERTWRIGHT_DNS_API_TOKN is not a field .*CERTWRIGHT_DNS_API_TOKEN_FILE"
    ) as caught:
        load_config("cloudflare", None, lambda _: None)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("text", ["cloudflare", "Cloudflare", "CLOUDFLARE"])
def test_a_provider_is_named_as_people_write_it(text: str) -> None:
    assert provider_name(text) == "cloudflare"


def test_every_provider_can_be_named_as_an_issuer_names_it() -> None:
    assert {provider_name(name) for name in all_providers()} == PROVIDERS.keys()
    with pytest.raises(UsageError, match="certwright dns list"):
        provider_name("nobody")


def test_an_object_is_for_a_file_and_no_variable_is_told_for_it() -> None:
    variables = variables_of("azure_dns")
    assert "SUBSCRIPTION_ID" in variables
    assert not any("MANAGED_IDENTITY" in name for name in variables)
