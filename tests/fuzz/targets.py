"""What is fuzzed: every parser that reads what others wrote, with real inputs and the errors that it may raise."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import dns.exception
import dns.message

from certwright.acme import ACME_TLS_1, AcmeError
from certwright.acme.account import Account
from certwright.acme.account_credentials import AccountCredentials
from certwright.acme.authorization import Authorization
from certwright.acme.certificate import CertificateChainPem, issuer_names
from certwright.acme.directory import Directory
from certwright.acme.dns_persist01 import persistent_record_allows
from certwright.acme.external_account import ExternalAccountBinding
from certwright.acme.fields import load_json
from certwright.acme.key import AccountKey
from certwright.acme.order import Order
from certwright.acme.problem import is_problem, parse_problem
from certwright.acme.refusal import refusal
from certwright.acme.renewal_info import RenewalInfo, certificate_identifier
from certwright.acme.transport import UrlPolicy
from certwright.cert_manager import translate_certificate, translate_issuer
from certwright.certificates.revisions.secret import read_revisions
from certwright.certificates.secret.facts import SecretFacts
from certwright.challenges.response import TlsAlpnResponse
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.solver_settings import SolverSettings
from certwright.cli.acme.solvers import _parse_key
from certwright.dns.aws.record_sets import read_set
from certwright.dns.aws.xml import error_code, parsed
from certwright.dns.caa import CaaRecord, CaaSet, judge_caa
from certwright.dns.errors import DnsError
from certwright.dns.survey import alias_at
from certwright.dns.wire import measure
from certwright.handlers.invalid import InvalidObject
from certwright.http.errors import InvalidTrustBundle
from certwright.http.link import parse_links
from certwright.http.message import Headers, Response
from certwright.http.retry_after import retry_after_seconds
from certwright.http.trust import private_trust
from certwright.http01 import routes
from certwright.http01.diagnosis import http_route_trouble, pod_trouble
from certwright.http01.tls_check import objection_to
from certwright.key_file import UnreadableKey, prove, read_private_key
from certwright.kube.owned import digest
from certwright.kube.resource import ANNOTATED
from certwright.mirror.certificate_status import Served, certificate_status
from certwright.mirror.issuer_status import issuer_status
from certwright.mirror.metrics import CertManagerMetrics
from certwright.mirror.objects import OURS, THEIR_CERTIFICATES, Mirrored
from certwright.mirror.renewals import renewal_of
from certwright.pki import CertificateFacts, PkiError, parse_chain, read_csr
from certwright.resources import Certificate, CertificateSpec, ClusterIssuer, InvalidResource, Issuer
from certwright.shim.annotations import Defaults, read_annotations
from certwright.shim.certificates import wanted_certificates
from certwright.shim.noticed import Noticed
from certwright.shim.sources import Source
from tests.fakes.hostile import pem
from tests.fakes.http01 import file
from tests.fuzz import corpus, providers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.fuzz.mutation import Mutator

URLS: Final = UrlPolicy()
URL: Final = "https://ca.test/1"
MAX_CONDITION: Final = 32_768
MAX_REFUSAL: Final = 1000
MAX_KEPT: Final = 60_000
"""Characters that are kept of an object of cert-manager besides ours."""
MAX_STATUS: Final = 100_000
NOW: Final = datetime(2026, 6, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Target:
    """One parser.

    Attributes:
        name: For people.
        corpus: Makes real inputs.
        make: Makes an input of them.
        parse: Reads one; what it returns is looked at.
        errors: What it may raise.
        cpu_seconds: What one input may take.
        share: Of the time for each parser; there are many providers.
    """

    name: str
    corpus: Callable[[], Sequence[bytes]]
    make: Callable[[Mutator], Any]
    parse: Callable[[Any], Any]
    errors: tuple[type[Exception], ...]
    cpu_seconds: float = 0.5
    share: float = 1.0


def _octets(mutator: Mutator) -> bytes:
    return mutator.octets()


def _text(mutator: Mutator) -> str:
    return mutator.text()


def _document(mutator: Mutator) -> bytes:
    return mutator.document()


def _typed(mutator: Mutator) -> Any:
    return json.loads(mutator.document(typed=True))


def _loaded(mutator: Mutator) -> Any:
    """Return an object of whose metadata the API server takes care, but whose schema may have been another."""
    found = load_json(mutator.document())
    return {**(found if isinstance(found, dict) else {}), "metadata": json.loads(mutator.corpus[0])["metadata"]}


def _annotated_object(mutator: Mutator) -> Any:
    """Return an object with any annotations and labels: texts by texts, as the API server sees to, and of any spec."""
    found = load_json(mutator.document())
    body = found if isinstance(found, dict) else {}
    metadata: dict[str, Any] = given if isinstance(given := body.get("metadata"), dict) else {}
    texts = {
        field: {key: str(value) for key, value in (metadata.get(field) or {}).items()}
        for field in ("annotations", "labels")
        if isinstance(metadata.get(field), dict)
    }
    return {**body, "metadata": {"name": "web", "namespace": "shop", "uid": "u1", "generation": 2, **texts}}


def _mirrored_object(mutator: Mutator) -> Any:
    """Return an object of cert-manager as our CRDs take it: anything but for its metadata, of which texts are texts."""
    body = _annotated_object(mutator)
    owner = {"apiVersion": "v1", "kind": _text(mutator), "name": _text(mutator), "uid": "u", "controller": True}
    return {**body, "metadata": {**body["metadata"], "resourceVersion": "7", "ownerReferences": [owner]}}


def _secret(mutator: Mutator) -> Any:
    """Return a Secret whose entries are base64, as the API server sees to."""
    secret = json.loads(mutator.document(typed=True))
    secret["metadata"] = {"namespace": "shop", "name": "web", **(secret.get("metadata") or {})}
    data = secret.get("data") or {}
    for name in data:
        if mutator.random.random() < 0.5:
            content = _from_base64(data[name])
            data[name] = base64.b64encode(type(mutator)(mutator.random, [content or b"x"]).octets()).decode()
    return secret


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except ValueError:
        return b"x"


def _response(body: bytes, **headers: str) -> Response:
    return Response(200, Headers({"Content-Type": "application/json", **headers}), body, URL)


def _acme(kind: str, parse: Callable[[Response], Any]) -> Target:
    return Target(
        f"ACME {kind}", lambda: corpus.acme(kind), _document, lambda body: parse(_response(body)), (AcmeError,)
    )


def _dns_provider(name: str) -> Target:
    parse = partial(providers.use, name)
    # Each input is the answer to several requests of several attempts.
    make = _document if providers.APIS[name].is_json else _octets
    return Target(f"answers of {name}", lambda: providers.answers(name), make, parse, (), 3.0, share=0.25)


def _problem(body: bytes) -> Any:
    document = load_json(body)
    headers = Headers({"Content-Type": "application/problem+json", "Retry-After": "60"})
    error = refusal(Response(429, headers, body, URL), action="newOrder", now=NOW)
    assert error is not None
    parsed = parse_problem(document) if isinstance(document, dict) and is_problem(document) else None
    return str(error), parsed


def _challenge(body: bytes) -> Any:
    """Read a challenge where it comes: in an authorization."""
    challenge = load_json(body)
    document = {**corpus.AUTHORIZATION, "challenges": [challenge]}
    return Authorization.parse(_response(json.dumps(document).encode()), URL, URLS)


def _read_and_prove(content: bytes) -> None:
    prove(read_private_key(content))


def _der_key(label: str) -> Callable[[bytes], None]:
    return lambda der: _read_and_prove(pem(label, der))


def _facts(content: bytes) -> Any:
    return CertificateFacts.of(parse_chain(content).leaf)


def _der_facts(der: bytes) -> Any:
    chain = parse_chain(pem("CERTIFICATE", der))
    return CertificateFacts.of(chain.leaf), chain.root_pem


def _issuer_names(body: bytes) -> Any:
    headers = Headers({"Content-Type": "application/pem-certificate-chain"})
    return issuer_names(CertificateChainPem.parse(Response(200, headers, body, URL)))


def _account_file(body: bytes) -> Any:
    return AccountCredentials.from_json(body.decode("utf-8", "replace"))


def _answer(wire: bytes) -> Any:
    measured = measure(wire)
    try:
        answer = dns.message.from_wire(wire)
    except (ValueError, LookupError, AttributeError, TypeError):
        raise dns.exception.FormError from None  # as `certwright.dns.query` does
    alias_at("_acme-challenge.a.test", answer)
    return measured.records, answer.rcode()


def _ingress(ingress: Any) -> Any:
    rules = (ingress.get("spec") or {}).get("rules") or ()
    files = [file("a.test", "t1"), file("c.test", "t2")]
    changed = routes.with_paths(rules, files, service="cw")
    routes.has_challenges(rules)
    assert routes.has_paths(changed, files, service="cw")
    return len(routes.without_paths(changed, files, services={"cw"}))


def _tsig(content: bytes) -> Any:
    text = content[: 16 * 1024].decode("ascii", "replace")
    return _parse_key(text, SolverSettings(tsig_key_name="acme-key"), source="a file").name


def _presented(der: bytes) -> str:
    name, key_authorization = corpus.VALIDATED
    return objection_to(TlsAlpnResponse(name, "token", key_authorization), ACME_TLS_1, der)


def _permanent(text: str) -> bool:
    return persistent_record_allows(text, issuers=["ca.test"], account_uri="https://ca.test/1", wildcard=True, now=NOW)


def _caa(text: str) -> str:
    records = tuple(CaaRecord(tag, text, critical=True) for tag in ("issue", "issuewild"))
    return judge_caa(
        CaaSet("a.test", records), identities=["ca.test"], wildcard=True, account_url="https://ca.test/1", methods=["x"]
    ).reason


def _custom(model: type[Certificate | Issuer | ClusterIssuer]) -> Callable[[Any], Any]:
    def parse(body: Any) -> Any:
        try:
            return model.parse(body).display_name
        except InvalidResource as error:
            if len(InvalidObject.of(body, error).message) >= MAX_CONDITION:
                raise AssertionError("the message does not fit into a condition") from error
            raise

    return parse


def _aws_answer(body: bytes) -> None:
    error_code(_response(body))
    root = parsed(body)
    for element in root.iter() if root is not None else ():
        if element.tag.endswith("ResourceRecordSet"):
            read_set(element)


_MODELS: Final[dict[str, type[Certificate | Issuer | ClusterIssuer]]] = {
    "Certificate": Certificate,
    "Issuer": Issuer,
    "ClusterIssuer": ClusterIssuer,
}


def _translated(manifest: Any) -> None:
    found = manifest if isinstance(manifest, dict) else {}
    for one in (translate_certificate(found), translate_issuer(found)):
        if (one.manifest is None) != bool(one.refusals):
            raise AssertionError("an object that stays has a reason, and one that moves has none")
        if one.manifest is not None:
            _MODELS[one.kind].parse(one.manifest)


def _mirrored(body: Any) -> None:
    """Take in an object of cert-manager as each of its kinds, and say what its status should be."""
    for resource, ours in OURS.items():
        theirs = Mirrored.of(resource, body)
        if (theirs.manifest is None) != bool(theirs.refusal):
            raise AssertionError("an object that is not served has a reason, and one that is has none")
        served = None
        if theirs.manifest is not None:
            served = _MODELS[ours.kind].parse(
                {**theirs.manifest, "metadata": {**theirs.manifest["metadata"], "uid": "v"}}
            )
            digest(theirs.manifest)
        refusal = ("InvalidSpec", theirs.refusal) if theirs.refusal else None
        _write_statuses(theirs, served, refusal)
        if len(repr((theirs.status, theirs.labels, theirs.changes, theirs.issuer_ref, theirs.triggered))) > MAX_KEPT:
            raise AssertionError("much is kept of an object")


def _write_statuses(theirs: Mirrored, ours: Any, refusal: tuple[str, str] | None) -> None:
    """Write the status until nothing changes, which is the second time."""
    status: Any = theirs.status
    for _ in range(2):
        before = status
        if theirs.resource == THEIR_CERTIFICATES:
            if renewal_of(theirs, ours, NOW).request is not None:
                raise AssertionError("a status alone has a certificate renewed that was never issued")
            status = certificate_status(status, Served(theirs.generation, ours, refusal=refusal), NOW)
        else:
            status = issuer_status(status, ours, NOW, generation=theirs.generation, refusal=refusal)
        if len(json.dumps(status)) > MAX_STATUS:
            raise AssertionError("the status does not fit")
    if status != before:
        raise AssertionError(f"a status is written without end: {before} {status}")
    list(CertManagerMetrics(lambda: [theirs]).collect())


def _annotated(body: Any) -> None:
    """Read an annotated object as each kind of source, and have our model read what is made of it."""
    for resource in ANNOTATED:
        source = Source.of(resource, body)
        Noticed.of(body)
        wishes = read_annotations(source.annotations, Defaults(cert_manager=True, issuer="le"))
        found = wanted_certificates(source, wishes, label_names={"team"})
        for manifest in found.certificates.values():
            CertificateSpec.model_validate(manifest["spec"])
            digest(manifest)
        for one in found.refusals:
            if not str(one).isprintable() or len(str(one)) > MAX_REFUSAL:
                raise AssertionError(f"a refusal that no Event should have: {str(one)[:MAX_REFUSAL]!r}")


TARGETS: Final = (
    Target("private keys in PEM", corpus.private_keys, _octets, _read_and_prove, (UnreadableKey,)),
    Target("private keys: PKCS #8", corpus.key_der, _octets, _der_key("PRIVATE KEY"), (UnreadableKey,)),
    Target("private keys: PKCS #1", corpus.key_der, _octets, _der_key("RSA PRIVATE KEY"), (UnreadableKey,)),
    Target("private keys: SEC 1", corpus.key_der, _octets, _der_key("EC PRIVATE KEY"), (UnreadableKey,)),
    Target("account keys", corpus.private_keys, _octets, AccountKey.from_pem, (AcmeError,)),
    Target("Secrets", corpus.secrets, _secret, SecretFacts.of, ()),
    Target("Secrets of earlier revisions", corpus.revisions, _secret, read_revisions, ()),
    Target("certificate chains in PEM", corpus.chains, _octets, _facts, (PkiError,)),
    Target("certificates", corpus.certificate_der, _octets, _der_facts, (PkiError,)),
    Target("validation certificates", corpus.validation_certificates, _octets, _presented, ()),
    Target("permanent records", lambda: corpus.PERMANENT_RECORDS, _text, _permanent, ()),
    Target("CAA records", lambda: corpus.CAA_VALUES, _text, _caa, ()),
    Target("certificate identifiers", corpus.certificate_der, _octets, certificate_identifier, (AcmeError,)),
    Target("certificates of a CA", corpus.chains, _octets, _issuer_names, (AcmeError,)),
    Target("CA bundles", corpus.chains, _text, private_trust, (InvalidTrustBundle,), cpu_seconds=1.0),
    Target("signing requests", corpus.csrs, _octets, read_csr, (PkiError,)),
    Target("DNS answers", corpus.dns_answers, _octets, _answer, (DnsError, dns.exception.DNSException)),
    _acme("directory", lambda response: Directory.parse(response, URLS)),
    _acme("order", lambda response: Order.parse(response, URL, URLS)),
    _acme("authorization", lambda response: Authorization.parse(response, URL, URLS)),
    Target("ACME challenge", lambda: corpus.acme("challenge"), _document, _challenge, (AcmeError,)),
    _acme("account", lambda response: Account.parse(response, URL, URLS)),
    Target("ACME problem", lambda: corpus.acme("problem"), _document, _problem, ()),
    _acme("renewal info", lambda response: RenewalInfo.parse(response, URLS)),
    Target(
        "Retry-After",
        lambda: corpus.RETRY_AFTER,
        _text,
        lambda value: retry_after_seconds(Headers({"Retry-After": value}), now=NOW),
        (),
    ),
    Target("Link", lambda: corpus.LINKS, _text, lambda value: parse_links([value], base=URL), ()),
    Target("Certificate", lambda: corpus.manifests("Certificate"), _loaded, _custom(Certificate), (InvalidResource,)),
    Target("Issuer", lambda: corpus.manifests("Issuer"), _loaded, _custom(Issuer), (InvalidResource,)),
    Target("ClusterIssuer", lambda: corpus.manifests("Issuer"), _loaded, _custom(ClusterIssuer), (InvalidResource,)),
    Target("objects of cert-manager", corpus.cert_manager_objects, _typed, _translated, ()),
    Target("objects of cert-manager that are served", corpus.mirrored_objects, _mirrored_object, _mirrored, ()),
    Target("answers of AWS", lambda: corpus.AWS_ANSWERS, _octets, _aws_answer, ()),
    *(_dns_provider(name) for name in providers.APIS),
    Target("TSIG key files", lambda: corpus.TSIG_FILES, _octets, _tsig, (DnsError, UsageError)),
    Target(
        "external account keys",
        lambda: (b"c2VjcmV0", b"zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W", b"a+b/c=="),
        _text,
        lambda text: ExternalAccountBinding.from_text("kid", text).key_id,
        (AcmeError,),
    ),
    Target("account files", lambda: corpus.acme("account"), _document, _account_file, (AcmeError,)),
    Target("annotated objects", lambda: corpus.ANNOTATED, _annotated_object, _annotated, ()),
    Target("Ingresses", lambda: corpus.INGRESSES, _typed, _ingress, ()),
    Target("HTTPRoutes", lambda: corpus.HTTP_ROUTES, _typed, http_route_trouble, ()),
    Target("Pods", lambda: corpus.PODS, _typed, pod_trouble, ()),
)  # fmt: skip
