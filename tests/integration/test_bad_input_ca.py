"""Mistakes about CAs and accounts: the issuer says it, its Certificates say it, and once put right it is over."""

from __future__ import annotations

import base64
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import AccountKey
from harness import Tenant, issuer
from harness.mistakes import CUT_JSON, HTML, MARKER, Mistake, message_of, shown, wait_event
from harness.silent_server import SilentServer
from testbed.certificates import BedAuthority
from testbed.ports import LOOPBACK, allocator
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("operator")

NOT_PEM = base64.b64encode(b"no certificate at all").decode()
NO_CERTIFICATE = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()
NO_KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWdhcmJhZ2U=\n-----END PRIVATE KEY-----\n"


class Wrong:
    """Applies an Issuer with a mistake and a Certificate that needs it, both of one name."""

    def __init__(self, tenant: Tenant, stack: ExitStack, folder: Path) -> None:
        self.tenant = tenant
        self.stack = stack
        self.folder = folder

    def apply(self, name: str, *, without: str = "", **settings: Any) -> None:
        self.issuer(name, without=without, **settings)
        self.tenant.apply(name, f"{name}.{self.tenant.namespace}.example.test", issuerRef={"name": name})

    def issuer(self, name: str, *, without: str = "", **settings: Any) -> None:
        manifest = issuer(self.tenant.bed, self.tenant.namespace, name=name, **settings)
        manifest["spec"]["acme"].pop(without, None)
        self.tenant.cluster.apply(manifest)

    def account_secret(self, name: str, **entries: str) -> None:
        metadata = {"name": f"{name}-account", "namespace": self.tenant.namespace}
        self.tenant.cluster.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": entries})

    def proxy(self) -> RecordingProxy:
        return self.stack.enter_context(RecordingProxy.for_pebble(self.tenant.bed.pebble))

    def not_ready(self, name: str, reason: str, *words: str, put_right: Callable[[], object]) -> Mistake:
        """What the Issuer says, its Certificate repeats."""
        return Mistake(
            "IssuerNotReady",
            (f"Issuer {self.tenant.namespace}/{name} is not ready ({reason})", *words),
            put_right,
            issuer=("Issuer", self.tenant.namespace, name),
            issuer_reason=reason,
        )


def wrong_path(wrong: Wrong) -> Mistake:
    url = f"{wrong.tenant.bed.pebble.directory_url}ectory"
    wrong.apply("wrong-path", server=url)
    return wrong.not_ready(
        "wrong-path",
        "CAMalformedResponse",
        f"Not an ACME response from {url} (HTTP 404)",
        "Check that the URL is that of an ACME server",
        put_right=lambda: wrong.issuer("wrong-path"),
    )


def ca_is_down(wrong: Wrong) -> Mistake:
    port = allocator.take()
    wrong.apply("ca-is-down", server=f"https://{LOOPBACK}:{port}/dir")

    def start() -> None:
        proxy = RecordingProxy.for_pebble(wrong.tenant.bed.pebble)
        proxy.port = port
        wrong.stack.enter_context(proxy)

    return wrong.not_ready(
        "ca-is-down",
        "CAUnreachable",
        f"Cannot connect to {LOOPBACK}:{port}: Connection refused",
        put_right=start,
    )


def no_bundle(wrong: Wrong) -> Mistake:
    wrong.apply("no-bundle", without="caBundle")
    return wrong.not_ready(
        "no-bundle",
        "CAUntrusted",
        f"The certificate of {LOOPBACK}:{wrong.tenant.bed.pebble.ports['acme']} is not trusted",
        "set its root as the CA bundle in the issuer's spec.acme.caBundle",
        put_right=lambda: wrong.issuer("no-bundle"),
    )


def bundle_of_another_ca(wrong: Wrong) -> Mistake:
    other = BedAuthority(wrong.folder / "another-ca")
    wrong.apply("bundle-of-another-ca", caBundle=base64.b64encode(other.pem).decode())
    return wrong.not_ready(
        "bundle-of-another-ca",
        "CAUntrusted",
        "is not trusted",
        "spec.acme.caBundle",
        put_right=lambda: wrong.issuer("bundle-of-another-ca"),
    )


def bundle_without_certificate(wrong: Wrong) -> Mistake:
    wrong.apply("bundle-without-certificate", caBundle=NO_CERTIFICATE)
    return wrong.not_ready(
        "bundle-without-certificate",
        "InvalidCABundle",
        "CA bundle",
        "Correct the issuer's spec.acme.caBundle",
        put_right=lambda: wrong.issuer("bundle-without-certificate"),
    )


def bundle_is_no_pem(wrong: Wrong) -> Mistake:
    wrong.apply("bundle-is-no-pem", caBundle=NOT_PEM)
    return wrong.not_ready(
        "bundle-is-no-pem",
        "InvalidSpec",
        "spec.acme: caBundle is base64 but contains no PEM certificate",
        "until it is corrected",
        put_right=lambda: wrong.issuer("bundle-is-no-pem"),
    )


def html_in_place_of_acme(wrong: Wrong) -> Mistake:
    proxy = wrong.proxy()
    proxy.on_request = lambda _: HTML
    wrong.apply("html", server=proxy.directory_url)
    return wrong.not_ready(
        "html",
        "CAMalformedResponse",
        f"Not an ACME response from {proxy.directory_url} (HTTP 200)",
        "text/html instead of application/json",
        "nothing in between answers for it",
        put_right=proxy.reset,
    )


def cut_json(wrong: Wrong) -> Mistake:
    proxy = wrong.proxy()
    proxy.on_request = lambda _: CUT_JSON
    wrong.apply("cut-json", server=proxy.directory_url)
    return wrong.not_ready(
        "cut-json",
        "CAMalformedResponse",
        f"{proxy.directory_url} (HTTP 200): the directory is not a complete JSON object",
        put_right=proxy.reset,
    )


def no_tls(wrong: Wrong) -> Mistake:
    """A port that accepts connections and never says anything."""
    listener = wrong.stack.enter_context(socket.create_server((LOOPBACK, 0)))
    address = f"{LOOPBACK}:{listener.getsockname()[1]}"
    wrong.apply("no-tls", server=f"https://{address}/dir")
    return wrong.not_ready(
        "no-tls",
        "CAUnreachable",
        f"{address} did not accept a connection in time",
        put_right=lambda: wrong.issuer("no-tls"),
    )


def silence(wrong: Wrong) -> Mistake:
    """A server that takes the request and never answers."""
    server = wrong.stack.enter_context(SilentServer(wrong.tenant.bed.authority))
    wrong.apply("silence", server=f"https://{server.address}/dir")
    return wrong.not_ready(
        "silence",
        "CAUnreachable",
        f"{server.address} did not answer in time",
        put_right=lambda: wrong.issuer("silence"),
    )


def no_such_profile(wrong: Wrong) -> Mistake:
    wrong.apply("no-such-profile", profile="platinum")
    return wrong.not_ready(
        "no-such-profile",
        "InvalidProfile",
        f"The CA {wrong.tenant.bed.pebble.directory_url} has no profile platinum; it offers default",
        "Correct spec.acme.profile",
        put_right=lambda: wrong.issuer("no-such-profile", profile="default"),
    )


def account_key_is_garbage(wrong: Wrong) -> Mistake:
    wrong.account_secret("account-key-is-garbage", **{"tls.key": NO_KEY})
    wrong.apply("account-key-is-garbage")
    return wrong.not_ready(
        "account-key-is-garbage",
        "AccountKeyUnusable",
        f"tls.key of Secret {wrong.tenant.namespace}/account-key-is-garbage-account cannot be used",
        "cannot be read: it is not PEM, or it is damaged",
        put_right=lambda: wrong.tenant.cluster.delete(
            "Secret", wrong.tenant.namespace, "account-key-is-garbage-account"
        ),
    )


def account_secret_without_key(wrong: Wrong) -> Mistake:
    wrong.account_secret("account-secret-without-key", other="data")
    wrong.apply("account-secret-without-key")
    return wrong.not_ready(
        "account-secret-without-key",
        "AccountKeyMissing",
        "exists, but has no entry tls.key. It was left untouched",
        put_right=lambda: wrong.account_secret(
            "account-secret-without-key", **{"tls.key": AccountKey.generate().to_pem().decode()}
        ),
    )


def no_account_secret(wrong: Wrong) -> Mistake:
    wrong.apply("no-account-secret", disableAccountKeyGeneration=True)
    return wrong.not_ready(
        "no-account-secret",
        "AccountKeyMissing",
        f"Secret {wrong.tenant.namespace}/no-account-secret-account does not exist",
        "disableAccountKeyGeneration",
        "Create it with the account's private key",
        put_right=lambda: wrong.account_secret(
            "no-account-secret", **{"tls.key": AccountKey.generate("RS256").to_pem().decode()}
        ),
    )


def no_issuer(wrong: Wrong) -> Mistake:
    wrong.tenant.apply("no-issuer", f"no-issuer.{wrong.tenant.namespace}.example.test", issuerRef={"name": "no-issuer"})
    return Mistake(
        "IssuerNotFound",
        (f"Issuer {wrong.tenant.namespace}/no-issuer does not exist", "Create it, or correct spec.issuerRef"),
        lambda: wrong.issuer("no-issuer"),
    )


CASES: dict[str, Callable[[Wrong], Mistake]] = {
    "wrong-path": wrong_path,
    "ca-is-down": ca_is_down,
    "no-bundle": no_bundle,
    "bundle-of-another-ca": bundle_of_another_ca,
    "bundle-without-certificate": bundle_without_certificate,
    "bundle-is-no-pem": bundle_is_no_pem,
    "html": html_in_place_of_acme,
    "cut-json": cut_json,
    "no-such-profile": no_such_profile,
    "account-key-is-garbage": account_key_is_garbage,
    "account-secret-without-key": account_secret_without_key,
    "no-account-secret": no_account_secret,
    "no-issuer": no_issuer,
}
SLOW_CASES: dict[str, Callable[[Wrong], Mistake]] = {"no-tls": no_tls, "silence": silence}
"""Begun with the others and looked at last: these are time-outs."""


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(scope="module")
def mistakes(module_tenant: Tenant, stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Mistake]:
    """All of them at once, and a good Certificate after them."""
    wrong = Wrong(module_tenant, stack, tmp_path_factory.mktemp("cas"))
    made = {name: case(wrong) for name, case in {**SLOW_CASES, **CASES}.items()}
    module_tenant.apply("good", f"good.{module_tenant.namespace}.example.test")
    return made


@pytest.fixture(scope="module")
def put_right(module_tenant: Tenant, mistakes: dict[str, Mistake]) -> None:
    """All but the slow ones together, so that the Certificates go on side by side."""
    for name in CASES:
        module_tenant.not_ready(name, mistakes[name].reason)
    for name in CASES:
        mistakes[name].put_right()


@pytest.mark.usefixtures("mistakes")
def test_a_good_certificate_beside_them_is_issued(module_tenant: Tenant) -> None:
    module_tenant.ready("good")


def check_told(tenant: Tenant, name: str, mistake: Mistake) -> None:
    """The Certificate's condition and Event say it, and so do the issuer's."""
    message = tenant.not_ready(name, mistake.reason)["message"]
    assert not [words for words in mistake.words if words not in message], message
    assert wait_event(tenant.cluster, tenant.namespace, name, mistake.reason)["message"] == message
    if mistake.issuer is None:
        return
    said = message_of(tenant.cluster.wait_condition(*mistake.issuer, "Ready", "False", reason=mistake.issuer_reason))
    assert not [words for words in mistake.words[1:] if words not in said], said
    event = wait_event(tenant.cluster, tenant.namespace, name, mistake.issuer_reason)
    assert (event["type"], event["involvedObject"]["kind"]) == ("Warning", mistake.issuer[0])


@pytest.mark.parametrize("name", CASES)
def test_the_mistake_is_told_in_conditions_and_events(
    module_tenant: Tenant, mistakes: dict[str, Mistake], name: str
) -> None:
    check_told(module_tenant, name, mistakes[name])


@pytest.mark.usefixtures("put_right")
@pytest.mark.parametrize("name", CASES)
def test_what_was_put_right_goes_on_by_itself(module_tenant: Tenant, name: str) -> None:
    if name != "no-issuer":
        module_tenant.cluster.wait_ready("Issuer", module_tenant.namespace, name)
    module_tenant.ready(name)


@pytest.mark.parametrize("name", SLOW_CASES)
def test_a_ca_that_says_nothing_is_not_waited_for_without_end(
    module_tenant: Tenant, mistakes: dict[str, Mistake], name: str
) -> None:
    check_told(module_tenant, name, mistakes[name])
    mistakes[name].put_right()
    module_tenant.ready(name)


@pytest.mark.usefixtures("put_right")
def test_no_key_and_no_body_is_shown(module_tenant: Tenant, operator_log: Path) -> None:
    seen = shown(module_tenant, operator_log)
    assert "text/html instead of application/json" in seen
    assert not [text for text in (MARKER, "PRIVATE KEY", "c2VjcmV0LWdhcmJhZ2U") if text in seen]
