"""A certificate of another CA than the issuer's is not adopted, as far as it is known what that one gives."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certwright.certificates.need import issuance_need
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.given import GivenChains, Secrets
from certwright.certificates.secret.origin import MAX_LINKS, MAX_SHOWN, ChainOrigin
from certwright.pki import CertificateChain, parse_chain, private_key_to_pem
from certwright.runtime.key import Key
from tests.fakes.operator import KEY, NOW, SERVER, encoded

from .bench import CA, Bench

if TYPE_CHECKING:
    from tests.fakes.operator import Body, Build, FakeKubeApi

PLACE: Final = ("team", "web-tls")
LIFE: Final = dt.timedelta(days=3000)


class Authority:
    """A CA, or an intermediate of one."""

    def __init__(self, common_name: str, organization: str | None = None, parent: Authority | None = None) -> None:
        names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
        if organization is not None:
            names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        self.name, self.key = x509.Name(names), ec.generate_private_key(ec.SECP256R1())
        self.issuers: list[x509.Certificate] = []
        if parent is not None:
            self.issuers = [parent.sign(self.name, self.key.public_key(), ca=True), *parent.issuers]

    def sign(self, subject: x509.Name, key: Any, *, ca: bool = False) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(hours=1))
            .not_valid_after(NOW + (LIFE if ca else dt.timedelta(days=90)))
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if not ca:
            names = x509.SubjectAlternativeName([x509.DNSName("a.example.test")])
            builder = builder.add_extension(names, critical=True)
        return builder.sign(self.key, hashes.SHA256())

    def chain(self, *, links: int = 9) -> CertificateChain:
        leaf = self.sign(x509.Name([]), KEY.public_key())
        found = [leaf, *self.issuers][:links]
        return parse_chain(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in found))


ROOT: Final = Authority("Root X1", "Sprocket Trust")
FIRST: Final = Authority("R1", "Sprocket", ROOT)
SECOND: Final = Authority("R2", "Gear Signing", ROOT)
OTHER_ROOT: Final = Authority("E1", "SPROCKET ", Authority("Root X2", "Sprocket Second"))
STRANGER: Final = Authority("Corporate Issuing", "Company", Authority("Corporate Root", "Company"))
NAMESAKE: Final = Authority("r1", "sprocket", Authority("Elsewhere"))
RENAMED: Final = Authority("Another name")
RENAMED.key = FIRST.key
UNNAMED: Final = Authority("")


def holding(build: Build, chain: CertificateChain) -> Body:
    return build.strange_secret(data={"tls.crt": encoded(chain.pem), "tls.key": encoded(private_key_to_pem(KEY))})


def issued(build: Build, chain: CertificateChain, name: str = "other", version: int = 8, **issuer: str) -> SecretFacts:
    """What another Certificate has from its issuer."""
    reference = {"name": "ca", **issuer}
    other = build.certificate(metadata={"name": name, "uid": name}, secretName=f"{name}-tls", issuerRef=reference)
    secret = build.secret(other, chain)
    secret["metadata"] |= {"uid": f"uid-{name}", "resourceVersion": str(version)}
    return SecretFacts.of(secret)


def metadata(facts: SecretFacts, version: int | None = None) -> dict[str, str]:
    number = facts.resource_version if version is None else str(version)
    return {"namespace": facts.namespace, "name": facts.name, "uid": facts.uid, "resourceVersion": number}


@pytest.mark.parametrize(
    ("given", "found", "adopted"),
    [
        pytest.param((), STRANGER.chain(), True, id="nothing is known"),
        pytest.param((FIRST.chain(),), FIRST.chain(), True, id="the same intermediate"),
        pytest.param((FIRST.chain(),), FIRST.chain(links=1), True, id="the same intermediate, leaf only"),
        pytest.param((FIRST.chain(),), SECOND.chain(), True, id="the same root"),
        pytest.param((FIRST.chain(),), OTHER_ROOT.chain(), True, id="the same organization"),
        pytest.param((FIRST.chain(),), NAMESAKE.chain(links=1), True, id="the same name"),
        pytest.param((FIRST.chain(),), RENAMED.chain(), True, id="the same key"),
        pytest.param((FIRST.chain(), STRANGER.chain()), STRANGER.chain(), True, id="one of two"),
        pytest.param((FIRST.chain(),), STRANGER.chain(), False, id="a stranger"),
        pytest.param((FIRST.chain(),), STRANGER.chain(links=1), False, id="a stranger, leaf only"),
        pytest.param((FIRST.chain(), SECOND.chain()), UNNAMED.chain(), False, id="an issuer without a name"),
        pytest.param((UNNAMED.chain(),), STRANGER.chain(), False, id="an issuer without a name and a stranger"),
    ],
)
def test_which_certificates_are_taken_for_the_issuers(
    build: Build, given: tuple[CertificateChain, ...], found: CertificateChain, *, adopted: bool
) -> None:
    origins = tuple(ChainOrigin.of(chain) for chain in given)
    observation = build.observation(secret=SecretFacts.of(holding(build, found)), given=origins)
    need = issuance_need(observation, NOW)
    assert (need is None) == adopted
    assert need is None or need.reason == "NotFromIssuer"


def test_what_certwright_has_written_is_not_judged(build: Build) -> None:
    mine = SecretFacts.of(build.secret(chain=STRANGER.chain()))
    observation = build.observation(secret=mine, given=(ChainOrigin.of(FIRST.chain()),))
    assert issuance_need(observation, NOW) is None


def test_a_message_names_both_cas_in_a_bounded_line_that_can_be_shown(build: Build) -> None:
    hostile = Authority("\u202eevil\n" * 7, "\u202eZ\n" * 12)
    secret = SecretFacts.of(holding(build, hostile.chain()))
    given = tuple(ChainOrigin.of(Authority(f"R{number}").chain()) for number in range(40))
    need = issuance_need(build.observation(secret=secret, given=given), NOW)
    assert need is not None
    assert "evil" in need.message or "Z" in need.message
    assert "from Issuer ca are issued by CN=R0, CN=R1 and 38 more" in need.message
    assert need.message.isprintable()
    assert len(need.message) < 3 * MAX_SHOWN


def test_what_is_kept_of_a_chain_is_bounded() -> None:
    authority = Authority("Root")
    for number in range(15):
        authority = Authority(f"Intermediate {number}", parent=authority)
    assert len(ChainOrigin.of(authority.chain(links=20)).issuers) <= 2 * MAX_LINKS


def test_equal_origins_are_kept_once() -> None:
    assert ChainOrigin.of(FIRST.chain()) is ChainOrigin.of(FIRST.chain())


async def test_a_strangers_certificate_is_replaced_and_stays_until_then(
    bench: Bench, build: Build, kube_api: FakeKubeApi
) -> None:
    bench.take_secret(issued(build, FIRST.chain()))
    before = kube_api.put(holding(build, STRANGER.chain()))["data"]
    bench.ca.verdict = "invalid"
    await bench.run(30)
    assert kube_api.secrets[PLACE]["data"] == before
    assert "was issued by O=Company,CN=Corporate Issuing" in bench.messages["Issuing"]
    assert "those from Issuer ca are issued by O=Sprocket,CN=R1" in bench.messages["Issuing"]
    assert "Adopted" not in bench.events
    bench.ca.verdict = "ready"
    await bench.run(3600)
    assert bench.condition().status == "True"
    assert kube_api.secrets[PLACE]["data"] != before
    assert bench.status.revision == 1
    orders = len(bench.ca.orders)
    await bench.run(86400)
    assert len(bench.ca.orders) == orders


async def test_what_was_adopted_while_nothing_was_known_stays(
    bench: Bench, build: Build, kube_api: FakeKubeApi
) -> None:
    kube_api.put(holding(build, STRANGER.chain()))
    await bench.run(60)
    assert bench.events == ["Adopted"]
    bench.take_secret(issued(build, FIRST.chain(), version=900))
    await bench.run(3600)
    bench.restart()
    bench.take_secret(SecretFacts.of(kube_api.secrets[PLACE]))
    bench.take_secret(issued(build, FIRST.chain(), version=900))
    await bench.run(3600)
    assert (bench.condition().status, bench.ca.orders) == ("True", {})


async def test_a_strangers_certificate_in_the_place_of_the_only_one_that_was_issued_does_not_stay(
    bench: Bench, kube_api: FakeKubeApi
) -> None:
    await bench.run(86400)
    secret = kube_api.secrets[PLACE]
    data = {"tls.crt": encoded(STRANGER.chain().pem), "tls.key": encoded(private_key_to_pem(KEY))}
    bench.take_secret(SecretFacts.of(kube_api.put({**secret, "data": data})))
    await bench.run(60)
    assert base64.b64decode(kube_api.secrets[PLACE]["data"]["tls.crt"]) != STRANGER.chain().pem
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 2)


async def test_a_foreign_certificate_that_is_adopted_in_a_secret_of_ours_does_not_pass_for_the_cas(
    bench: Bench, build: Build, kube_api: FakeKubeApi
) -> None:
    secret = build.secret()
    secret["data"] |= {"tls.crt": encoded(STRANGER.chain().pem)}
    secret["metadata"]["annotations"].pop("certwright.io/metadata-fingerprint")
    bench.take_secret(SecretFacts.of(kube_api.put(secret)))
    await bench.run(60)
    facts = SecretFacts.of(kube_api.secrets[PLACE])
    assert (facts.is_adopted, facts.is_ours, bench.secrets.given.of(CA, None)) == (True, False, ())


def test_secrets_show_what_their_issuer_gives_until_they_are_gone_and_the_last_one_longer(build: Build) -> None:
    secrets = Secrets()
    first, second = issued(build, FIRST.chain(), "first"), issued(build, STRANGER.chain(), "second")
    for facts in (first, second):
        secrets.put(metadata(facts), facts)
    assert set(secrets.given.of(CA, SERVER)) == {first.origin, second.origin}
    secrets.remove(metadata(first, 9))
    assert secrets.given.of(CA, SERVER) == (second.origin,)
    secrets.drop(second.namespace, second.name)
    assert secrets.given.of(CA, SERVER) == (second.origin,)


def test_a_secret_that_is_renewed_shows_its_new_chain_only(build: Build) -> None:
    secrets = Secrets()
    for version, authority in ((8, FIRST), (9, STRANGER), (10, SECOND)):
        facts = issued(build, authority.chain(), version=version)
        secrets.put(metadata(facts), facts)
    assert secrets.given.of(CA, SERVER) == (ChainOrigin.of(SECOND.chain()),)


def test_issuers_servers_and_namespaces_are_told_apart(build: Build) -> None:
    given = GivenChains()
    facts = issued(build, FIRST.chain())
    of_cluster = issued(build, SECOND.chain(), kind="ClusterIssuer")
    for one in (facts, of_cluster, replace(facts, namespace="elsewhere", origin=ChainOrigin.of(STRANGER.chain()))):
        given.see(None, one)
    assert given.of(CA, SERVER) == (facts.origin,)
    assert given.of(CA, None) == (facts.origin,)
    assert given.of(CA, "https://other.example.test/") == ()
    assert given.of(Key("Issuer", "team", "another"), SERVER) == ()
    assert given.of(Key("ClusterIssuer", "", "ca"), SERVER) == (of_cluster.origin,)


def test_only_what_certwright_has_issued_shows_what_an_issuer_gives(build: Build) -> None:
    given = GivenChains()
    mine = build.secret(chain=FIRST.chain())
    adopted = {**mine, "metadata": {**mine["metadata"], "annotations": dict(mine["metadata"]["annotations"])}}
    del adopted["metadata"]["annotations"]["certwright.io/acme-server"]
    replaced = {**mine, "data": {**mine["data"], "tls.crt": encoded(STRANGER.chain().pem)}}
    unlabelled = {**mine, "metadata": {**mine["metadata"], "labels": {}}}
    for secret in (adopted, replaced, unlabelled, holding(build, STRANGER.chain())):
        given.see(None, SecretFacts.of(secret))
    assert given.of(CA, None) == ()
