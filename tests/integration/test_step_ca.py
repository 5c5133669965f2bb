"""Another CA than Pebble: what it does differently must not matter to the library, the command line or the operator."""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography import x509

from certwright.acme import AccountKey, BadCsr, RevocationReason
from certwright.client import Dns01, Http01Server, TlsAlpn01Server, connect, issue, leaf_der, renew
from certwright.pki import CertificateContents, Subject, parse_chain
from harness.acme import provider_of, view_of
from harness.acme_command import AcmeCommand
from testbed.locations import PROJECT
from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from certwright.acme import Client
    from certwright.client import Solver
    from harness import Tenant
    from testbed import TestBed
    from testbed.parts.bind import Bind
    from testbed.parts.step_ca import StepCa


@pytest.fixture(scope="module")
def step_ca(bed: TestBed, http_port: int, tls_port: int) -> Iterator[StepCa]:
    """The other CA, which asks the ports of this file."""
    yield bed.start_step_ca(http_port=http_port, tls_port=tls_port)
    bed.end_step_ca()


@pytest.fixture
async def client(step_ca: StepCa) -> AsyncIterator[Client]:
    ca_bundle = step_ca.ca_bundle_pem.decode()
    async with connect(step_ca.directory_url, account=AccountKey.generate(), ca_bundle=ca_bundle) as connected:
        await connected.register(terms_of_service_agreed=True)
        yield connected


def names_in(pem: bytes) -> set[str]:
    names = parse_chain(pem).leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))


@pytest.fixture
def solvers(bind: Bind, http_port: int, tls_port: int) -> dict[str, Solver]:
    return {
        "http-01": Http01Server(host=LOOPBACK, port=http_port),
        "dns-01": Dns01(provider_of(bind), view_of(bind)),
        "tls-alpn-01": TlsAlpn01Server(host=LOOPBACK, port=tls_port),
    }


@pytest.mark.parametrize("kind", ["http-01", "dns-01", "tls-alpn-01"])
async def test_the_library_issues_renews_and_revokes(
    client: Client, bind: Bind, solvers: dict[str, Solver], name: str, kind: str
) -> None:
    names = [name, f"*.{name}" if kind == "dns-01" else f"www.{name}"]
    first = await issue(client, names, solvers=[solvers[kind]])
    assert names_in(first.chain_pem) == set(names)
    assert len(parse_chain(first.chain_pem).issuers) == 1
    renewed = await renew(client, first.chain_pem, names=names, solvers=[solvers[kind]])
    assert names_in(renewed.chain_pem) == set(names)
    assert await client.revoke_certificate(leaf_der(first.chain_pem), reason=RevocationReason.SUPERSEDED)
    assert not [record for record in bind.txt_records(bind.zones[0]) if record.endswith(name)]


async def test_what_it_leaves_out_of_a_certificate_is_known(
    client: Client, solvers: dict[str, Solver], name: str
) -> None:
    contents = CertificateContents(
        subject=Subject(organizations=["Example"]), usages=["digital signature", "client auth", "code signing"]
    )
    issued = await issue(client, [name, LOOPBACK], solvers=[solvers["http-01"]], contents=contents)
    missing = contents.missing_in(parse_chain(issued.chain_pem).leaf)
    assert missing == ("usages code signing", "subject O=Example")


async def test_uris_are_refused_by_it(client: Client, solvers: dict[str, Solver], name: str) -> None:
    with pytest.raises(BadCsr):
        await issue(client, [name], solvers=[solvers["http-01"]], contents=CertificateContents(uris=["spiffe://a/b"]))


async def test_the_account_is_read_changed_and_closed(client: Client) -> None:
    assert (await client.fetch_account()).status == "valid"
    await client.update_account(contact=["mailto:ops@example.test"])
    assert (await client.fetch_account()).contact == ("mailto:ops@example.test",)
    assert (await client.deactivate_account()).status == "deactivated"


def test_the_command_line_issues_and_renews(step_ca: StepCa, standalone: list[str], tmp_path: Path, name: str) -> None:
    acme = AcmeCommand(tmp_path / "state", step_ca.directory_url, step_ca.ca_bundle)
    acme.ok("issue", name, "--agree-tos", *standalone)
    folder = tmp_path / "state" / "certificates" / name
    before = (folder / "fullchain.pem").read_bytes()
    assert names_in(before) == {name}
    acme.ok("renew", "--force")
    assert names_in((folder / "fullchain.pem").read_bytes()) == {name}
    assert (folder / "fullchain.pem").read_bytes() != before
    acme.ok("revoke", name)


def test_the_operator_issues(module_tenant: Tenant, step_ca: StepCa) -> None:
    tenant, host = module_tenant, f"{secrets.token_hex(6)}.example.test"
    tenant.add_issuer("step", server=step_ca.directory_url, caBundle=base64.b64encode(step_ca.ca_bundle_pem).decode())
    tenant.apply("step", host, f"*.{host}", issuerRef={"name": "step"})
    tenant.ready("step")
    data = tenant.cluster.secret_data(tenant.namespace, "step-tls")
    assert names_in(data["tls.crt"]) == {host, f"*.{host}"}


def test_the_tutorial_runs_with_its_configuration_its_issuer_and_one_root(
    module_tenant: Tenant, bed: TestBed, step_ca: StepCa
) -> None:
    tenant, host = module_tenant, f"{secrets.token_hex(6)}.example.test"
    page = (PROJECT / "docs" / "step-ca.md").read_text(encoding="utf-8")
    shown = [one for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) for one in yaml.safe_load_all(text)]
    (configuration,) = [json.loads(one["data"]["ca.json"]) for one in shown if one["kind"] == "ConfigMap"]
    (internal,) = [one for one in shown if one["kind"] == "ClusterIssuer"]
    (service,) = [one for one in shown if one["kind"] == "Service"]
    assert configuration["dnsNames"] == [f"{service['metadata']['name']}.pki.svc"]
    assert step_ca.running
    bed.end_step_ca()
    started = bed.start_step_ca(configuration=configuration)
    # The place apart, the URL is the page's.
    shown_url, url = (urlsplit(one) for one in (internal["spec"]["acme"]["server"], started.directory_url))
    assert (shown_url.hostname, shown_url.path) == (configuration["dnsNames"][0], url.path)
    tenant.add_issuer(
        "internal", server=started.directory_url, caBundle=base64.b64encode(started.ca_bundle_pem).decode()
    )
    tenant.apply("internal", host, issuerRef={"name": "internal"})
    tenant.ready("internal")
    leaf = tenant.leaf("internal-tls")
    root = x509.load_pem_x509_certificate(started.ca_bundle_pem)
    leaf.verify_directly_issued_by(root)
