"""A CA that issues something else than was requested: it is refused with the reason, and the last good one stays."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.certificates.bench import Bench
from tests.fakes.pki import Ca, make_ca

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.operator import Build, FakeKubeApi

NAMES: Final = ("a.example.test", "b.example.test")
KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
ISSUER: Final = make_ca("Hostile")
OTHER_KEY: Final = ec.generate_private_key(ec.SECP256R1())
Change = dict[str, Any]


def issued(
    now: dt.datetime,
    public_key: Any,
    *,
    names: tuple[str, ...] = NAMES,
    addresses: tuple[str, ...] = (),
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    begins: dt.timedelta = dt.timedelta(hours=-1),
    ends: dt.timedelta = dt.timedelta(days=90),
    other_key: bool = False,
) -> bytes:
    """What the CA sends for the key of the CSR, with one thing wrong."""
    alt_names = [
        *(x509.DNSName(name) for name in names),
        *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses),
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")]))
        .issuer_name(ISSUER.name)
        .public_key(OTHER_KEY.public_key() if other_key else public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + min(begins, ends))
        .not_valid_after(now + max(begins, ends))
        .add_extension(x509.SubjectAlternativeName(alt_names), critical=False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    if ends < begins:
        # The library does not make such a one of its own accord.
        builder._not_valid_before, builder._not_valid_after = builder._not_valid_after, builder._not_valid_before
    return Ca.pem(builder.sign(ISSUER.key, hashes.SHA256()), ISSUER.certificate)


def usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in KEY_USAGES})


HOSTILE: Final[dict[str, tuple[Change, str]]] = {
    "another key": ({"other_key": True}, "another private key"),
    "a name missing": ({"names": NAMES[:1]}, "does not cover b.example.test"),
    "an address more": ({"addresses": ("10.0.0.1", "::1")}, "also for 10.0.0.1, ::1"),
    "a name more": ({"names": (*NAMES, "evil.example")}, "also for evil.example"),
    "a wildcard more": ({"names": (*NAMES, "*.example.test")}, "also for *.example.test"),
    "a name that hides": ({"names": (*NAMES, "x\x1b[2K\r\nok.example")}, "also for x [2k ok.example,"),
    "a CA": ({"extensions": ((x509.BasicConstraints(ca=True, path_length=None), True),)}, "a CA certificate"),
    "cert sign": ({"extensions": ((usage("digital_signature", "key_cert_sign"), True),)}, "a CA certificate"),
    "for clients only": (
        {"extensions": ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False),)},
        "lacks server auth",
    ),
    "an unknown critical extension": (
        {"extensions": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True),)},
        "critical extension 1.2.3.4.5",
    ),
    "a precertificate": ({"extensions": ((x509.PrecertPoison(), True),)}, "critical extension 1.3.6.1.4.1.11129.2.4.3"),
    "from the day after tomorrow": ({"begins": dt.timedelta(days=2)}, "valid only from"),
    "expired": ({"begins": dt.timedelta(days=-9), "ends": dt.timedelta(days=-2)}, "expired at"),
    "of a negative lifetime": ({"begins": dt.timedelta(minutes=30), "ends": dt.timedelta(minutes=20)}, "expired at"),
    "ten thousand names": (
        {"names": (*NAMES, *(f"host-{number}.example.test" for number in range(10_000)))},
        "cannot be used: the certificate chain is",
    ),
    "two thousand short names": (
        {"names": (*NAMES, *(f"{n}.a" for n in range(2000)))},
        "cannot be used: the certificate has 2002 names",
    ),
}


@pytest.fixture
async def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    """A Certificate that has been issued as it should be."""
    made = Bench(build, kube_api, now)
    made.ca.changed = answers(made)
    made.write(*NAMES)
    await made.run(60)
    assert (made.condition().status, len(made.ca.orders)) == ("True", 1), made.condition()
    return made


def answers(bench: Bench, **change: Any) -> Callable[[bytes], bytes]:
    def changed(chain: bytes) -> bytes:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        return issued(bench.now, leaf.public_key(), **change)

    return changed


def renew(bench: Bench) -> None:
    bench.write(*NAMES, request={"id": "r-1", "action": "Renew"})


@pytest.mark.parametrize(("change", "words"), HOSTILE.values(), ids=HOSTILE)
async def test_it_is_refused_with_the_reason_and_the_last_good_one_stays_without_a_storm(
    bench: Bench, change: Change, words: str
) -> None:
    good = bench.cluster.secrets.secrets["team", "web-tls"]
    bench.ca.changed = answers(bench, **change)
    renew(bench)
    await bench.run(3600)
    assert bench.cluster.secrets.secrets["team", "web-tls"]["data"] == good["data"]
    assert bench.condition().status == "True", "the last good one is used"
    assert len(bench.ca.orders) <= 4, "one, and three attempts at most"
    told = [*bench.messages.values(), *(one.message for one in bench.status.conditions if one.message)]
    assert any(words in message for message in told), told
    assert all(message.isprintable() and len(message) <= 1600 for message in told)


@pytest.mark.parametrize("name", ["a name more", "a CA", "for clients only", "an unknown critical extension"])
async def test_the_first_certificate_is_attempted_less_and_less_often(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime, name: str
) -> None:
    bench = Bench(build, kube_api, now)
    change, words = HOSTILE[name]
    bench.ca.changed = answers(bench, **change)
    bench.write(*NAMES)
    await bench.run(3600)
    assert len(bench.ca.orders) == 3, "after 0, 1 and 11 minutes"
    assert (bench.condition().status, bench.condition("Issuing").reason) == ("False", "CertificateRefused")
    assert words in (bench.condition("Issuing").message or "")
    assert "web-tls" not in bench.secret_names
    await bench.run(3 * 86_400)
    assert len(bench.ca.orders) <= 7, "then daily"
    bench.ca.changed = answers(bench)
    await bench.run(2 * 86_400)
    assert bench.condition().status == "True"


@pytest.mark.parametrize(
    "change",
    [
        {"extensions": ((x509.BasicConstraints(ca=False, path_length=None), True),)},
        {"extensions": ((usage("digital_signature", "key_encipherment"), True),)},
        {"extensions": ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), True),)},
        {"extensions": ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), False),)},
        {"names": (*NAMES, NAMES[0].upper())},
    ],
    ids=["no CA", "usages", "for everything", "an extension that need not be known", "another case"],
)
async def test_what_clients_take_is_taken(bench: Bench, change: Change) -> None:
    good = bench.cluster.secrets.secrets["team", "web-tls"]
    bench.ca.changed = answers(bench, **change)
    renew(bench)
    await bench.run(3600)
    assert bench.cluster.secrets.secrets["team", "web-tls"]["data"] != good["data"]
    assert len(bench.ca.orders) == 2


async def test_one_that_is_requested_for_clients_need_not_be_for_servers(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    bench = Bench(build, kube_api, now)
    bench.ca.changed = answers(bench, **HOSTILE["for clients only"][0])
    bench.write(*NAMES, usages=["digital signature", "client auth"])
    await bench.run(60)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 1)
