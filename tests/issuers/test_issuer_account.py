"""External account binding, terms, presets, imported keys, moved directories, and Secrets that change."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from pydantic import ValidationError

from certwright.acme import AccountKey
from certwright.issuers.upkeep import CREDENTIALS_INTERVAL, DIRECTORY_INTERVAL, KEY_INTERVAL
from certwright.known_authorities import KNOWN_AUTHORITIES
from certwright.pki import generate_private_key
from certwright.resources import AcmeIssuerSpec, find_condition
from certwright.resources.issuer_account import Preset, preset_url
from certwright.runtime.key import Key
from tests.fakes.issuers import CA, ORIGIN, SETTLED, Bench

if TYPE_CHECKING:
    from certwright.issuers.registry import ReadyIssuer
    from tests.fakes.operator import Build

MAC = bytes(range(200, 232))
EAB = {"keyID": "kid-1", "keySecretRef": {"name": "eab", "key": "mac"}}


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def bound() -> Bench:
    """A CA that registers its customers only."""
    bench = Bench()
    bench.ca.eab_keys = {"kid-1": MAC}
    bench.ca.meta["externalAccountRequired"] = True
    return bench


def client_certificate(build: Build, password: bytes | None = None) -> tuple[bytes, bytes]:
    """A certificate and its key in PEM."""
    key = generate_private_key()
    encryption = BestAvailableEncryption(password) if password is not None else NoEncryption()
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return build.ca.chain(key=key).pem, key_pem


def message(bench: Bench, kind: str = "Ready") -> str:
    return str(next(one["message"] for one in bench.status()["conditions"] if one["type"] == kind))


def problem(bench: Bench, kind: str) -> str | None:
    return next((one["reason"] for one in bench.status()["conditions"] if one["type"] == kind), None)


def ready_issuer(bench: Bench, key: Key = CA) -> ReadyIssuer:
    issuer = bench.registry.ready(key)
    assert issuer is not None
    return issuer


@pytest.mark.parametrize(
    "text",
    [
        base64.urlsafe_b64encode(MAC),
        base64.urlsafe_b64encode(MAC).rstrip(b"="),
        base64.b64encode(MAC),
        base64.b64encode(MAC).rstrip(b"=") + b"\n",
        base64.b64encode(MAC)[:20] + b"\r\n    " + base64.b64encode(MAC)[20:],
        b"\xef\xbb\xbf" + base64.b64encode(MAC) + b"\xc2\xa0\xe2\x80\x8b",
        b'"' + base64.b64encode(MAC) + b'"\n',
    ],
    ids=["base64url", "without padding", "base64", "with a line end", "indented lines", "invisible marks", "quoted"],
)
async def test_an_account_is_bound_with_the_key_in_any_form_that_cas_show(bound: Bench, text: bytes) -> None:
    bound.cluster.put_secret("shop", "eab", {"mac": text})
    bound.write(externalAccountBinding=EAB)
    assert await bound.reconciler.reconcile(CA) == SETTLED
    assert bound.ready() == ("True", "AccountRegistered")
    [payload] = bound.ca.asked("/newAccount")
    assert json.loads(base64.urlsafe_b64decode(payload["externalAccountBinding"]["protected"] + "==")) == {
        "alg": "HS256",
        "kid": "kid-1",
        "url": f"{ORIGIN}/newAccount",
    }
    assert bound.status()["acme"]["offers"]["externalAccountRequired"] is True


async def test_a_ca_that_requires_a_binding_says_so_before_anything_is_sent(bound: Bench) -> None:
    bound.write()
    await bound.reconciler.reconcile(CA)
    assert bound.ready() == ("False", "ExternalAccountRequired")
    assert "set spec.acme.externalAccountBinding" in message(bound)
    assert bound.ca.asked("/newAccount") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (base64.b64encode(b"another key of another customer"), "ExternalAccountRefused"),
        (b"no base64: s3cr3t!", "ExternalAccountKeyUnusable"),
        (None, "CredentialsMissing"),
    ],
)
async def test_a_wrong_key_is_told_and_never_shown_and_its_correction_is_taken_up(
    bound: Bench, text: bytes | None, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    if text is not None:
        bound.cluster.put_secret("shop", "eab", {"mac": text})
    bound.write(externalAccountBinding=EAB)
    pause = (await bound.reconciler.reconcile(CA)).seconds
    assert bound.ready() == ("False", reason)
    assert "shop/eab" in message(bound)
    shown = json.dumps(bound.status()) + str(bound.events) + caplog.text
    assert "s3cr3t" not in shown
    assert base64.b64encode(MAC).decode() not in shown
    bound.cluster.put_secret("shop", "eab", {"mac": base64.b64encode(MAC)})
    assert pause is not None
    bound.now += dt.timedelta(seconds=pause)
    await bound.reconciler.reconcile(CA)
    assert bound.ready() == ("True", "AccountRegistered")


async def test_a_key_that_was_encoded_twice_is_suspected_of_it(bound: Bench) -> None:
    bound.cluster.put_secret("shop", "eab", {"mac": base64.b64encode(base64.b64encode(MAC))})
    bound.write(externalAccountBinding=EAB)
    await bound.reconciler.reconcile(CA)
    assert bound.ready() == ("False", "ExternalAccountRefused")
    assert "encoded in base64 once too often" in message(bound)


@pytest.mark.parametrize("kind", ["malformed", "unauthorized"])
async def test_a_ca_that_wants_no_binding_and_refuses_it_is_told_apart(bench: Bench, kind: str) -> None:
    bench.cluster.put_secret("shop", "eab", {"mac": base64.b64encode(MAC)})
    bench.ca.unheard["/newAccount"] = lambda: bench.ca.problem(kind, 400)
    bench.write(externalAccountBinding=EAB)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "ExternalAccountRefused")
    assert "if it does not, remove externalAccountBinding" in message(bench)
    bench.ca.unheard.clear()
    bench.write()
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")


async def test_a_secret_of_a_binding_that_is_taken_away_or_changed_later_disturbs_nobody(bound: Bench) -> None:
    bound.cluster.put_secret("shop", "eab", {"mac": base64.b64encode(MAC)})
    bound.write(externalAccountBinding=EAB)
    await bound.reconciler.reconcile(CA)
    for is_gone in (False, True):
        bound.cluster.put_secret("shop", "eab", {"mac": b"!"})
        if is_gone:
            del bound.cluster.secrets["shop", "eab"]
        bound.now += KEY_INTERVAL
        await bound.reconciler.reconcile(CA)
        assert bound.ready() == ("True", "AccountRegistered")
    bound.write(externalAccountBinding=EAB, email="ops@example.test")
    await bound.reconciler.reconcile(CA)
    assert bound.ready() == ("True", "AccountRegistered"), "it is needed for a registration only"
    assert len(bound.ca.accounts) == 1


async def test_a_wrong_binding_is_not_taken_for_a_closed_account(bound: Bench) -> None:
    bound.cluster.put_secret("shop", "eab", {"mac": base64.b64encode(MAC[:-1])})
    bound.write(externalAccountBinding=EAB)
    await bound.reconciler.reconcile(CA)
    assert "delete the Secret account" not in message(bound)
    assert "the CA says unauthorized" in message(bound)


async def test_the_binding_is_sent_again_when_the_ca_has_forgotten_the_account(bound: Bench) -> None:
    bound.cluster.put_secret("shop", "eab", {"mac": base64.b64encode(MAC)})
    bound.write(externalAccountBinding=EAB)
    await bound.reconciler.reconcile(CA)
    thumbprint = bound.status()["acme"]["keyThumbprint"]
    bound.ca.accounts.clear()
    bound.ca.requests.clear()
    bound.reconciler.account_lost(CA)
    assert await bound.reconciler.reconcile(CA) == SETTLED
    registrations = [payload for payload in bound.ca.asked("/newAccount") if "onlyReturnExisting" not in payload]
    assert [bool(payload.get("externalAccountBinding")) for payload in registrations] == [True]
    assert bound.status()["acme"]["keyThumbprint"] == thumbprint
    assert ready_issuer(bound).account_url == f"{ORIGIN}/account/2"


async def test_an_account_that_exists_is_found_without_its_binding(bound: Bench) -> None:
    """A used binding may be refused, and its Secret may be gone, after a restore from a backup without statuses."""
    key = AccountKey.generate()
    bound.cluster.put_key("shop", key)
    url = bound.ca.add_account(key)
    bound.write(externalAccountBinding=EAB)
    await bound.reconciler.reconcile(CA)
    assert bound.ready() == ("True", "AccountRegistered")
    assert bound.ca.asked("/newAccount") == [{"onlyReturnExisting": True}]
    assert ready_issuer(bound).account_url == url


async def test_two_issuers_with_one_key_are_both_registered_once_after_the_ca_forgot_all(bound: Bench) -> None:
    other = Key("Issuer", "shop", "other")
    bound.cluster.put_secret("shop", "eab", {"mac": base64.b64encode(MAC)})
    for key in (CA, other):
        bound.write(key, uid=f"u-{key.name}", externalAccountBinding=EAB)
        await bound.reconciler.reconcile(key)
    bound.ca.accounts.clear()
    bound.ca.requests.clear()
    for key in (CA, other):
        bound.reconciler.account_lost(key)
    for key in (CA, other):
        await bound.reconciler.reconcile(key)
    assert len(bound.ca.accounts) == 1
    assert ready_issuer(bound).account_url == ready_issuer(bound, other).account_url
    sent = [payload for payload in bound.ca.asked("/newAccount") if "externalAccountBinding" in payload]
    assert len(sent) == 1


def test_every_public_preset_of_the_library_is_one_of_the_operators() -> None:
    names = Preset.__args__  # type: ignore[attr-defined]
    assert set(names) == KNOWN_AUTHORITIES.keys() - {"pebble"}
    assert preset_url("letsencrypt") == "https://acme-v02.api.letsencrypt.org/directory"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"server": "https://ca.test/dir", "preset": "letsencrypt"}, "server and preset are mutually exclusive"),
        ({}, "set server to the URL of the CA's directory, or preset to the name of a CA"),
        ({"preset": "pebble"}, "letsencrypt-staging"),
        ({"server": "https://ca.test/dir", "timeouts": {"total": "5m"}}, "must be between 1s and 100s"),
        ({"server": "https://ca.test/dir", "proxy": {"url": "http://u:p@proxy:3128"}}, "credentialsSecretRef"),
        ({"server": "https://ca.test/dir", "proxy": {"url": "socks5://proxy:1080"}}, "only HTTP proxies"),
        ({"server": "https://ca.test/dir", "accountKeyRotation": {}}, "set request, interval, or both"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], words: str) -> None:
    rest = {"privateKeySecretRef": {"name": "account"}, "solvers": [{"http01": {"ingress": {}}}]}
    with pytest.raises(ValidationError, match=words):
        AcmeIssuerSpec.model_validate({**rest, **fields})


async def test_a_preset_names_the_server_and_the_status_shows_its_url(bench: Bench) -> None:
    url = preset_url("letsencrypt-staging")
    bench.ca.directories.add(url)
    bench.write(server=None, preset="letsencrypt-staging")
    await bench.reconciler.reconcile(CA)
    assert bench.status()["acme"]["server"] == url
    assert url in message(bench)
    assert [authority.server for authority in bench.connections.open] == [url]


async def test_the_first_registration_tells_the_terms_it_agreed_to(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    assert f"agreed to the terms of service {ORIGIN}/terms" in bench.events[0][2]
    assert problem(bench, "TermsAccepted") is None


async def test_changed_terms_are_told_with_the_link_while_the_issuer_works_on(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.ca.meta["termsOfService"] = f"{ORIGIN}/terms/2"
    bench.now += DIRECTORY_INTERVAL
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")
    assert problem(bench, "TermsAccepted") == "TermsChanged"
    assert f"{ORIGIN}/terms/2" in message(bench, "TermsAccepted")
    assert "acceptedTerms" in message(bench, "TermsAccepted")
    assert bench.events[-1][:2] == ("Warning", "TermsChanged")
    assert bench.status()["acme"]["termsOfService"] == f"{ORIGIN}/terms", "what the account agreed to"
    events = len(bench.events)
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert problem(bench, "TermsAccepted") == "TermsChanged"
    assert len(bench.events) == events, "told once"
    bench.write(acceptedTerms=f"{ORIGIN}/terms/2")
    await bench.reconciler.reconcile(CA)
    assert bench.ca.asked("/account/1") == [{"termsOfServiceAgreed": True}]
    assert problem(bench, "TermsAccepted") is None
    assert bench.status()["acme"]["termsOfService"] == f"{ORIGIN}/terms/2"


async def test_terms_that_are_not_the_accepted_ones_are_not_agreed_to(bench: Bench) -> None:
    bench.write(acceptedTerms=f"{ORIGIN}/terms/of/last/year")
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "TermsNotAccepted")
    assert f"{ORIGIN}/terms," in message(bench)
    assert bench.ca.asked("/newAccount") == []
    bench.write(acceptedTerms=f"{ORIGIN}/terms")
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("True", "AccountRegistered")


async def test_the_status_shows_what_the_ca_offers(bench: Bench) -> None:
    bench.ca.meta |= {
        "website": "https://ca.test/about",
        "caaIdentities": ["ca.test"],
        "profiles": {"shortlived": "six days", "classic": "ninety days"},
    }
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.registry.learn_challenges(CA, ["http-01", "dns-01"])
    await bench.reconciler.reconcile(CA)
    assert bench.status()["acme"]["offers"] == {
        "externalAccountRequired": False,
        "website": "https://ca.test/about",
        "caaIdentities": ["ca.test"],
        "profiles": ["classic", "shortlived"],
        "challenges": ["dns-01", "http-01"],
    }
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert bench.status()["acme"]["offers"]["challenges"] == ["dns-01", "http-01"], "learnt once"


async def test_a_ca_that_offers_nonsense_fills_no_status(bench: Bench) -> None:
    bench.ca.meta |= {
        "website": "x" * 5000,
        "caaIdentities": ["y" * 400, "ca.test", *(f"{number}.test" for number in range(90))],
        "profiles": {f"p{number}": "" for number in range(500)},
    }
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.registry.learn_challenges(CA, [f"t-{number}" for number in range(100)])
    await bench.reconciler.reconcile(CA)
    offers = bench.status()["acme"]["offers"]
    assert [len(offers[name]) for name in ("caaIdentities", "profiles", "challenges")] == [16, 32, 16]
    assert len(json.dumps(bench.status())) < 5000
    assert bench.ready() == ("True", "AccountRegistered")


async def test_an_imported_key_that_the_ca_does_not_know_registers_nothing(bench: Bench) -> None:
    key = AccountKey.generate()
    bench.cluster.put_key("shop", key)
    bench.write(onlyReturnExisting=True)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "AccountNotFound")
    assert bench.ca.accounts == {}
    url = bench.ca.add_account(key)
    bench.write(onlyReturnExisting=True, email="ops@example.test")
    await bench.reconciler.reconcile(CA)
    assert ready_issuer(bench).account_url == url
    assert bench.ca.asked(url.removeprefix(ORIGIN)) == [{"contact": ["mailto:ops@example.test"]}]


@pytest.mark.parametrize("kind", ["badPublicKey", "badSignatureAlgorithm"])
@pytest.mark.parametrize("only_existing", [False, True])
async def test_a_kind_of_key_that_the_ca_does_not_take_is_told_with_its_secret(
    bench: Bench, kind: str, *, only_existing: bool
) -> None:
    bench.cluster.put_key("shop", AccountKey.generate("EdDSA"))
    bench.ca.unheard["/newAccount"] = lambda: bench.ca.problem(kind, 400)
    bench.write(onlyReturnExisting=only_existing)
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "AccountKeyUnusable")
    assert "does not accept the account key in Secret shop/account" in message(bench)
    assert "accountKeyAlgorithm" in message(bench)


async def test_advice_about_a_key_that_cannot_be_read_destroys_nothing(bench: Bench) -> None:
    """It may be the only copy, and have a line too few."""
    bench.cluster.put_secret("shop", "account", {"tls.key": b"-----BEGIN PRIVATE KEY-----\nAAAA"})
    bench.write()
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "AccountKeyUnusable")
    assert "its END line is missing" in message(bench)
    assert "delete" not in message(bench)


async def test_a_directory_that_moved_at_the_same_ca_keeps_the_account_and_the_certificates(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.ca.directories.remove("/directory")
    bench.write(server=f"{ORIGIN}/other/directory")
    await bench.reconciler.reconcile(CA)
    issuer = ready_issuer(bench)
    assert issuer.account_url == f"{ORIGIN}/account/1"
    assert len(bench.ca.accounts) == 1
    assert issuer.former_servers == (f"{ORIGIN}/directory",)
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert ready_issuer(bench).former_servers == (f"{ORIGIN}/directory",)


async def test_former_servers_of_a_forged_status_are_believed_only_at_the_same_host(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    forged = ["https://staging.test/directory", f"{ORIGIN}/older"]
    bench.forge({**bench.status(), "acme": {**bench.status()["acme"], "formerServers": forged}})
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert ready_issuer(bench).former_servers == (f"{ORIGIN}/older",)


async def test_another_ca_at_the_same_host_is_no_former_server(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.ca.accounts.clear()
    bench.write(server=f"{ORIGIN}/other/directory")
    await bench.reconciler.reconcile(CA)
    assert ready_issuer(bench).account_url == f"{ORIGIN}/account/2"
    assert ready_issuer(bench).former_servers == ()


async def test_another_account_says_where_the_cnames_of_dns_account01_have_to_be(bench: Bench) -> None:
    solver = {"dns01": {"challengeType": "dns-account-01", "rfc2136": {"nameserver": "ns1.example"}}}
    bench.write(solvers=[solver])
    await bench.reconciler.reconcile(CA)
    before = bench.status()["acme"]["dnsAccountLabel"]
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    bench.ca.accounts.clear()
    bench.write(server=f"{ORIGIN}/other/directory", solvers=[solver])
    await bench.reconciler.reconcile(CA)
    after = bench.status()["acme"]["dnsAccountLabel"]
    [(kind, message)] = [(kind, said) for kind, reason, said in bench.events if reason == "DNSAccountLabelChanged"]
    assert kind == "Warning"
    assert f"Where {before}._acme-challenge.<domain> is a CNAME" in message
    assert f"the same CNAME at {after}._acme-challenge.<domain>" in message


async def test_an_account_key_that_its_owner_replaced_is_taken_up_without_a_restart(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    key = AccountKey.generate()
    bench.cluster.put_key("shop", key)
    bench.now += KEY_INTERVAL
    await bench.reconciler.reconcile(CA)
    assert ready_issuer(bench).client.key.thumbprint == key.thumbprint
    assert bench.status()["acme"]["keyThumbprint"] == key.thumbprint


@pytest.mark.parametrize("restarts", [False, True])
async def test_an_account_that_was_changed_by_accident_is_told(bench: Bench, *, restarts: bool) -> None:
    """Somebody deleted the Secret of the account key, so the issuer has another account, and is as ready as before."""
    bench.write()
    await bench.reconciler.reconcile(CA)
    del bench.cluster.secrets["shop", "account"]
    bench.events.clear()
    bench.now += KEY_INTERVAL
    if restarts:
        bench.restart()
        bench.watch()
    await bench.reconciler.reconcile(CA)
    assert ready_issuer(bench).account_url == f"{ORIGIN}/account/2"
    [(_, reason, said)] = bench.events
    assert reason == "AccountRegistered"
    assert f"{ORIGIN}/account/2 is ready" in said
    assert f"used the account {ORIGIN}/account/1 before" in said
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert len(bench.events) == 1, "once"


async def test_a_key_that_was_replaced_elsewhere_registers_no_new_account(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    [account] = bench.ca.accounts.values()
    bench.ca.accounts = {}
    bench.ca.add_account(AccountKey.generate())
    [other] = bench.ca.accounts.values()
    other["location"] = account["location"]
    for report in (bench.reconciler.account_lost, lambda key: bench.reconciler.account_refused(key, "refused")):
        report(CA)
        bench.now += dt.timedelta(hours=1)
        await bench.reconciler.reconcile(CA)
        assert bench.ready() == ("False", "AccountKeyReplaced")
        assert len(bench.ca.accounts) == 1
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "AccountKeyReplaced")
    assert len(bench.ca.accounts) == 1, "after a restart neither"


async def test_client_certificate_proxy_and_timeouts_are_part_of_the_connection(bench: Bench, build: Build) -> None:
    certificate, private_key = client_certificate(build)
    bench.cluster.put_secret("shop", "tls", {"tls.crt": certificate, "tls.key": private_key})
    bench.cluster.put_secret("shop", "proxy", {"username": b"user@corp\n", "password": b"p:w/d"})
    bench.write(
        clientCertificateSecretRef={"name": "tls"},
        proxy={"url": "http://proxy.corp.test:3128", "credentialsSecretRef": {"name": "proxy"}},
        timeouts={"connect": "3s", "total": "20s"},
    )
    assert (await bench.reconciler.reconcile(CA)).after == CREDENTIALS_INTERVAL
    [authority] = bench.connections.open
    assert authority.client_certificate is not None
    assert authority.client_certificate.private_key == private_key
    assert authority.proxy == "http://user%40corp:p%3Aw%2Fd@proxy.corp.test:3128"
    assert (authority.timeouts.connect, authority.timeouts.read, authority.timeouts.total) == (3.0, 30.0, 20.0)
    assert "p%3Aw" not in repr(authority)
    assert "PRIVATE" not in repr(authority)


async def test_a_renewed_client_certificate_is_taken_up_without_a_restart(bench: Bench, build: Build) -> None:
    first, second = client_certificate(build), client_certificate(build)
    bench.cluster.put_secret("shop", "tls", dict(zip(("tls.crt", "tls.key"), first, strict=True)))
    bench.write(clientCertificateSecretRef={"name": "tls"})
    await bench.reconciler.reconcile(CA)
    bench.cluster.put_secret("shop", "tls", dict(zip(("tls.crt", "tls.key"), second, strict=True)))
    bench.now += CREDENTIALS_INTERVAL
    await bench.reconciler.reconcile(CA)
    [authority] = bench.connections.open
    assert authority.client_certificate is not None
    assert authority.client_certificate.private_key == second[1], "and the connection of before is closed"


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"tls.crt": b"x"}, "CredentialsMissing"),
        ({"tls.crt": b"x", "tls.key": b"y"}, "ClientCertificateUnusable"),
        ("another key", "ClientCertificateUnusable"),
        ("encrypted", "ClientCertificateUnusable"),
    ],
)
async def test_a_client_certificate_that_cannot_be_used_says_why_and_quotes_nothing(
    bench: Bench, build: Build, entries: dict[str, bytes] | str, reason: str
) -> None:
    if isinstance(entries, str):
        certificate, private_key = client_certificate(build, b"secret" if entries == "encrypted" else None)
        other = private_key if entries == "encrypted" else client_certificate(build)[1]
        entries = {"tls.crt": certificate, "tls.key": other}
    bench.cluster.put_secret("shop", "tls", entries)
    bench.write(clientCertificateSecretRef={"name": "tls"})
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", reason)
    assert "shop/tls" in message(bench)
    assert "PRIVATE" not in json.dumps(bench.status())


@pytest.mark.parametrize(
    "password", [b"\xe9t\xe9-secret", "secret".encode("utf-16"), b"secret\nsecret", b"\r\n", b"\0"]
)
async def test_a_proxy_password_that_is_no_line_of_text_is_told_before_the_proxy_refuses_it(
    bench: Bench, password: bytes
) -> None:
    bench.cluster.put_secret("shop", "proxy", {"username": b"user", "password": password})
    bench.write(proxy={"url": "http://proxy.test:3128", "credentialsSecretRef": {"name": "proxy"}})
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "CredentialsMissing")
    assert "The entry password of Secret shop/proxy is not one line of text" in message(bench)
    assert "secret" not in message(bench).replace("Secret", "")
    assert bench.ca.requests == []


async def test_a_proxy_password_is_never_shown(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.cluster.put_secret("shop", "proxy", {"username": b"user", "password": b"s3cr3t"})
    bench.write(proxy={"url": "http://proxy.test:3128", "credentialsSecretRef": {"name": "proxy"}})
    bench.ca.refuse("serverInternal", 500)
    await bench.reconciler.reconcile(CA)
    assert bench.ready()[0] == "False"
    assert "s3cr3t" not in json.dumps(bench.status()) + str(bench.events) + caplog.text


async def test_a_condition_of_terms_survives_a_forged_status(bench: Bench) -> None:
    bench.write()
    await bench.reconciler.reconcile(CA)
    bench.ca.meta["termsOfService"] = f"{ORIGIN}/terms/2"
    bench.now += DIRECTORY_INTERVAL
    await bench.reconciler.reconcile(CA)
    written = bench.status()
    bench.forge({**written, "conditions": [one for one in written["conditions"] if one["type"] == "Ready"]})
    await bench.reconciler.reconcile(CA)
    issuer = bench.issuers.get(CA.namespace, CA.name)
    assert issuer is not None
    assert find_condition(issuer.status.conditions, "TermsAccepted") is not None
