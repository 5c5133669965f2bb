"""Which certificates that others put into the Secret are adopted, and which are replaced."""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from certwright.certificates.need import issuance_need
from certwright.certificates.secret.facts import SecretFacts
from certwright.pki import generate_private_key, parse_chain, private_key_to_pem
from tests.fakes.operator import KEY, NOW, SERVER, encoded

if TYPE_CHECKING:
    from tests.fakes.operator import Body, Build, FakeKubeApi

    from .bench import Bench

PLACE: Final = ("team", "web-tls")
STAGING: Final = "https://acme-staging-v02.api.letsencrypt.org/directory"


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def signed(issuer: x509.Name, subject: x509.Name) -> bytes:
    """A certificate as a placeholder is, signed with the key it is for."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + dt.timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example.test")]), critical=False)
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


SELF_SIGNED: Final = signed(named("Fake Certificate"), named("Fake Certificate"))
TEMPORARY: Final = signed(named("cert-manager.local"), named("a.example.test"))
STAGED: Final = signed(named("(STAGING) Riddling Rhubarb R12"), named("a.example.test"))


def holding(build: Build, chain: bytes) -> Body:
    return build.strange_secret(data={"tls.crt": encoded(chain), "tls.key": encoded(private_key_to_pem(KEY))})


@pytest.mark.parametrize(
    ("chain", "said"),
    [(SELF_SIGNED, "is self-signed"), (TEMPORARY, "that cert-manager created"), (STAGED, "from a staging environment")],
)
async def test_a_placeholder_is_replaced_and_stays_until_then(
    bench: Bench, build: Build, kube_api: FakeKubeApi, chain: bytes, said: str
) -> None:
    kube_api.put(holding(build, chain))
    bench.ca.verdict = "invalid"
    await bench.run(30)
    assert base64.b64decode(kube_api.secrets[PLACE]["data"]["tls.crt"]) == chain
    assert bench.condition().status == "False"
    assert said in bench.messages["Issuing"]
    assert "Adopted" not in bench.events
    bench.ca.verdict = "ready"
    await bench.run(3600)
    assert bench.condition().status == "True"
    assert base64.b64decode(kube_api.secrets[PLACE]["data"]["tls.crt"]) != chain
    assert bench.status.revision == 1


async def test_a_placeholder_that_was_adopted_earlier_is_replaced_too(
    bench: Bench, build: Build, kube_api: FakeKubeApi
) -> None:
    secret = build.secret(chain=parse_chain(SELF_SIGNED))
    del secret["metadata"]["annotations"]["certwright.io/acme-server"]
    bench.take_secret(SecretFacts.of(kube_api.put(secret)))
    await bench.run(60)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 1)


async def test_a_placeholder_that_takes_the_place_of_what_was_issued_is_replaced_without_an_order(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    await bench.run(60)
    issued = kube_api.secrets[PLACE]
    spoiled = {**issued, "data": {"tls.crt": encoded(SELF_SIGNED), "tls.key": encoded(private_key_to_pem(KEY))}}
    bench.take_secret(SecretFacts.of(kube_api.put(spoiled)))
    await bench.run(60)
    assert kube_api.secrets[PLACE]["data"] == issued["data"]
    assert len(bench.ca.orders) == 1


@pytest.mark.parametrize(("server", "adopted"), [(SERVER, False), (STAGING, True)])
def test_a_staging_certificate_is_adopted_by_a_staging_issuer_only(build: Build, server: str, *, adopted: bool) -> None:
    certificate = build.certificate()
    secret = SecretFacts.of(holding(build, STAGED))
    observation = build.observation(certificate, secret=secret, request=build.request(certificate, server=server))
    assert (issuance_need(observation, NOW) is None) == adopted


@pytest.mark.parametrize("private_key", [{}, {"rotationPolicy": "Never"}, {"encoding": "PKCS1"}])
async def test_a_key_of_another_kind_is_adopted_where_the_spec_says_nothing_of_it(
    bench: Bench, build: Build, kube_api: FakeKubeApi, private_key: dict[str, Any]
) -> None:
    bench.write(privateKey=private_key)
    rsa = generate_private_key("RSA")
    data = {"tls.crt": encoded(build.ca.chain(key=rsa).pem), "tls.key": encoded(private_key_to_pem(rsa))}
    kube_api.put(build.strange_secret(data=data))
    await bench.run(3600)
    assert (bench.condition().status, bench.ca.orders) == ("True", {})
    assert bench.events == ["Adopted"]
    await bench.run(61 * 86400)
    kept = private_key.get("rotationPolicy") == "Never"
    assert (kube_api.secrets[PLACE]["data"]["tls.key"] == data["tls.key"]) == kept
    assert len(bench.ca.orders) == 1


async def test_a_key_of_another_kind_is_not_adopted_where_the_spec_names_one(
    bench: Bench, build: Build, kube_api: FakeKubeApi
) -> None:
    bench.write(privateKey={"algorithm": "ECDSA"})
    rsa = generate_private_key("RSA")
    data = {"tls.crt": encoded(build.ca.chain(key=rsa).pem), "tls.key": encoded(private_key_to_pem(rsa))}
    kube_api.put(build.strange_secret(data=data))
    await bench.run(60)
    assert len(bench.ca.orders) == 1
