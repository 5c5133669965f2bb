"""Builders for what the operator decides on: Certificates, Secrets with real chains, orders, observations."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certwright import acme
from certwright.certificates.observation import Memory, Observation
from certwright.certificates.open_order import OpenOrder
from certwright.certificates.order_request import OrderRequest, requested_identifiers
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.manifest import tls_secret
from certwright.challenges.response import RecordResponse
from certwright.issuers.registry import IssuerView
from certwright.kube.errors import Conflict, NotFound
from certwright.pki import CertificateChain, PrivateKey, generate_private_key, parse_chain, private_key_to_pem
from certwright.resources import AcmeIssuerSpec, AuthorizationStatus, Certificate, OrderStatus, RecordStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
SERVER = "https://ca.example.test/directory"
ACCOUNT = "https://ca.example.test/account/1"
ORDER = "https://ca.example.test/order/1"
KEY = generate_private_key()

Body = dict[str, Any]
OrderState = Literal["pending", "ready", "processing", "valid", "invalid"]


class Issuing:
    """A CA of one root, which signs whatever it is told to."""

    def __init__(self) -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._signed(self._name, self._key.public_key(), (NOW - 900 * DAY, NOW + 9000 * DAY), None)

    def chain(
        self,
        names: Sequence[str] = ("a.example.test",),
        *,
        key: PrivateKey = KEY,
        not_before: dt.datetime = NOW - dt.timedelta(hours=1),
        life: dt.timedelta = 90 * DAY,
        with_root: bool = True,
    ) -> CertificateChain:
        san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        leaf = self._signed(x509.Name([]), key.public_key(), (not_before, not_before + life), san)
        return parse_chain(b"".join(map(_pem, (leaf, self._root) if with_root else (leaf,))))

    def _signed(
        self,
        subject: x509.Name,
        public_key: Any,
        life: tuple[dt.datetime, dt.datetime],
        names: x509.SubjectAlternativeName | None,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(life[0])
            .not_valid_after(life[1])
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=True)
        return builder.sign(self._key, hashes.SHA256())


@dataclass(frozen=True)
class Build:
    """Makes things as they are when all is well, changed in what a test says."""

    ca: Issuing

    def certificate(self, *names: str, metadata: Mapping[str, Any] | None = None, **spec: Any) -> Certificate:
        """A Certificate; `spec` by the fields' camelCase names."""
        return Certificate.parse(
            {
                "metadata": {
                    "name": "web",
                    "namespace": "team",
                    "uid": "uid-web",
                    "generation": 1,
                    "resourceVersion": "1",
                    **(metadata or {}),
                },
                "spec": {
                    "dnsNames": list(names or ("a.example.test",)),
                    "secretName": "web-tls",
                    "issuerRef": {"name": "ca"},
                    **spec,
                },
            }
        )

    def issuer(self, **spec: Any) -> AcmeIssuerSpec:
        return AcmeIssuerSpec.model_validate(
            {
                "server": SERVER,
                "privateKeySecretRef": {"name": "account"},
                "solvers": [{"dns01": {"rfc2136": {"nameserver": "127.0.0.1:53"}}}],
                **spec,
            }
        )

    def request(self, certificate: Certificate, account_url: str = ACCOUNT, **spec: Any) -> OrderRequest:
        return OrderRequest.of(certificate, self.issuer(**spec), account_url)

    def secret(
        self, certificate: Certificate | None = None, chain: CertificateChain | None = None, key: PrivateKey = KEY
    ) -> Body:
        """The Secret as Certwright writes it and the API server gives it back."""
        certificate = certificate or self.certificate()
        chain = chain or self.ca.chain(certificate.spec.dns_names, key=key)
        secret = tls_secret(certificate, chain, private_key_to_pem(key), server=SERVER)
        secret["metadata"] |= {"uid": "uid-secret", "resourceVersion": "7"}
        return secret

    def strange_secret(self, names: Sequence[str] = ("a.example.test",), **changes: Any) -> Body:
        """A Secret with a good chain that somebody else wrote."""
        data = {"tls.crt": encoded(self.ca.chain(names).pem), "tls.key": encoded(private_key_to_pem(KEY))}
        metadata = {"namespace": "team", "name": "web-tls", "uid": "uid-secret", "resourceVersion": "7"}
        return {"type": "kubernetes.io/tls", "metadata": metadata, "data": data, **changes}

    def facts(self, certificate: Certificate | None = None, **chain: Any) -> SecretFacts:
        """What is known of the Secret with a certificate for what the Certificate asks."""
        certificate = certificate or self.certificate()
        chain = {"names": certificate.spec.dns_names, **chain}
        return SecretFacts.of(self.secret(certificate, self.ca.chain(**chain), chain.get("key", KEY)))

    def order_status(
        self, certificate: Certificate | None = None, *, presented: bool = True, **changes: Any
    ) -> OrderStatus:
        """An order of the status for what the Certificate asks, each name with its record."""
        request = self.request(certificate or self.certificate())
        order = OrderStatus(
            url=ORDER,
            account_url=request.account_url,
            server=request.server,
            names=request.names,
            spec_hash=request.fingerprint,
            state="pending",
            created_at=NOW,
            authorizations=tuple(
                AuthorizationStatus(
                    name=name,
                    state="pending",
                    presented=presented,
                    record=RecordStatus(name=record(name).name, value=record(name).value),
                )
                for name in request.names
            ),
        )
        return order.replace(**changes)

    def order(self, status: OrderState = "pending", names: Iterable[str] = ("a.example.test",)) -> acme.Order:
        return acme.Order(
            url=ORDER,
            status=acme.OrderStatus(status),
            identifiers=tuple(acme.Identifier.dns(name) for name in names),
            authorization_urls=(),
            finalize_url=f"{ORDER}/finalize",
            certificate_url=f"{ORDER}/certificate" if status == "valid" else None,
        )

    def open_order(
        self, status: OrderState = "pending", names: Sequence[str] = ("a.example.test",), **changes: Any
    ) -> OpenOrder:
        """An open order; a pending one has every challenge still to be answered."""
        unanswered = names if status == "pending" else ()
        return OpenOrder(
            **{
                "order": self.order(status, names),
                "started_at": NOW,
                "next_look": NOW,
                "responses": {name: record(name) for name in unanswered},
                "challenges": {name: challenge(name) for name in unanswered},
                **changes,
            }
        )

    def observation(self, certificate: Certificate | None = None, **changes: Any) -> Observation:
        """A Certificate with a ready issuer and nothing else; fields of the memory may be changed like its own."""
        certificate = certificate or self.certificate()
        secret = changes.pop("secret", None)
        known = {field.name for field in fields(Memory)}
        memory = {name: changes.pop(name) for name in list(changes) if name in known}
        observation = Observation(
            **{
                "certificate": certificate,
                "identifiers": requested_identifiers(certificate),
                "status": certificate.status,
                "secret": None,
                "renewal": None,
                "issuer_view": IssuerView("ready"),
                "issuer": None,
                "request": self.request(certificate),
                "other_owner": None,
                "memory": Memory(**memory),
                **changes,
            }
        )
        return observation.with_secret(secret)


class FakeKubeApi:
    """An API server for Secrets in a dict; like the real one it refuses what is stale or there already."""

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], Body] = {}
        self.calls: list[str] = []
        self.before_create: Body | None = None
        self.kept: set[str] = set()
        """Entries that other field managers own: no apply takes them away."""
        self._version = 100

    def put(self, secret: Body) -> Body:
        self._version += 1
        metadata = {"uid": f"uid-{self._version}", **secret["metadata"], "resourceVersion": str(self._version)}
        stored = {**secret, "metadata": metadata}
        self.secrets[metadata["namespace"], metadata["name"]] = stored
        return stored

    async def read_secret(self, namespace: str, name: str) -> Body | None:
        self.calls.append(f"read {name}")
        return self.secrets.get((namespace, name))

    async def create_secret(self, secret: Mapping[str, Any]) -> Body:
        self.calls.append(f"create {secret['metadata']['name']}")
        if self.before_create is not None:
            self.put(self.before_create)
        if (secret["metadata"]["namespace"], secret["metadata"]["name"]) in self.secrets:
            raise Conflict("create the Secret", status=409, reason="AlreadyExists", message="it is there")
        return self.put(dict(secret))

    async def apply_secret(self, secret: Mapping[str, Any], *, force: bool) -> Body:
        metadata = secret["metadata"]
        self.calls.append(f"apply {metadata['name']}")
        known = self.secrets.get((metadata["namespace"], metadata["name"]))
        stale = known is not None and metadata.get("resourceVersion") not in {
            None,
            known["metadata"]["resourceVersion"],
        }
        if stale or (known is not None and not force):
            raise Conflict("write the Secret", status=409, reason="Conflict", message="it has changed")
        if known is None:
            return self.put(dict(secret))
        others = {name: content for name, content in known.get("data", {}).items() if name in self.kept}
        kept = {name: known["metadata"][name] for name in ("uid", "managedFields") if name in known["metadata"]}
        return self.put({**secret, "metadata": {**metadata, **kept}, "data": {**others, **secret["data"]}})

    async def change_secret(self, secret: Mapping[str, Any], change: Mapping[str, Any]) -> Body:
        metadata = secret["metadata"]
        self.calls.append(f"change {metadata['name']}")
        known = self.secrets[metadata["namespace"], metadata["name"]]
        if known["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            raise Conflict("change the Secret", status=409, reason="Conflict", message="it has changed")
        return self.put(merged(known, change))

    async def patch_secret(self, namespace: str, name: str, change: Mapping[str, Any]) -> None:
        self.calls.append(f"patch {name}")
        if (namespace, name) not in self.secrets:
            raise NotFound("change the Secret", status=404)
        self.put(merged(self.secrets[namespace, name], change))

    async def delete_secret(self, namespace: str, name: str) -> None:
        self.calls.append(f"delete {name}")
        self.secrets.pop((namespace, name), None)


def merged(known: Body, change: Mapping[str, Any]) -> Body:
    """What a merge patch (RFC 7386) makes of an object."""
    result = dict(known)
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            result[name] = merged(result.get(name) or {}, value)
        else:
            result[name] = value
    return result


def record(name: str) -> RecordResponse:
    return RecordResponse(
        f"_acme-challenge.{name.removeprefix('*.')}", f"value-of-{name.replace('*', 'any').replace('.', '-')}"
    )


def challenge(name: str) -> acme.Challenge:
    return acme.Challenge("dns-01", f"https://ca.example.test/challenge/{name}", acme.ChallengeStatus.PENDING, "token")


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture(scope="session")
def build() -> Build:
    return Build(Issuing())


@pytest.fixture(scope="session")
def now() -> dt.datetime:
    """The present, as the builders see it."""
    return NOW


@pytest.fixture
def kube_api() -> FakeKubeApi:
    return FakeKubeApi()
