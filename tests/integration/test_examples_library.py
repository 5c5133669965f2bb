"""Each program of examples/library as its readers run it, against a real CA and a real DNS server."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import socket
import stat
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from certwright.acme import AccountCredentials, base64url, certificate_identifier
from certwright.client import leaf_der
from certwright.dns import TxtRecord
from certwright.pki import CertificateFacts, check_before_write, load_private_key, parse_chain
from harness.acme import provider_of
from harness.web_folder import web_folder
from testbed.options import PebbleOptions, Profile
from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from certwright.pki import CertificateChain
    from testbed.bed import TestBed
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "library"
SECONDS: Final = 60


@dataclass
class Desk:
    """A folder with what an earlier program left there, and a CA that looks at a port of ours."""

    folder: Path
    pebble: Pebble
    name: str
    settings: dict[str, str] = field(default_factory=dict)

    def run(self, program: str, *arguments: str, **settings: str) -> str:
        """Run a program and return what it said."""
        return self._run(program, arguments, settings, fails=False)

    def fail(self, program: str, **settings: str) -> str:
        """Run a program that has to end with status 1 and return what it said."""
        return self._run(program, (), settings, fails=True)

    def _run(self, program: str, arguments: Sequence[str], settings: Mapping[str, str], *, fails: bool) -> str:
        environment = {
            # What a user of a private CA would set; nothing in the programs is about test beds.
            "SSL_CERT_FILE": str(self.pebble.ca_bundle),
            "PATH": os.environ["PATH"],
            "CA": self.pebble.directory_url,
            "NAME": self.name,
            **self.settings,
            **settings,
        }
        done = subprocess.run(  # noqa: S603 - our own examples
            [sys.executable, "-W", "error", EXAMPLES / program, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == (1 if fails else 0), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + (done.stderr if fails else "")

    def copy(self, folder: Path) -> Desk:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Desk(folder, self.pebble, self.name, self.settings)

    def chain(self) -> CertificateChain:
        return parse_chain((self.folder / "fullchain.pem").read_bytes())

    def key(self) -> bytes:
        return (self.folder / "privkey.pem").read_bytes()

    def check(self, *names: str, addresses: tuple[str, ...] = ()) -> CertificateChain:
        """Check that chain and key are there, fit each other and the names, and that the key is private."""
        chain = self.chain()
        key = load_private_key(self.key())
        check_before_write(chain, key, dns_names=names, ip_addresses=addresses, now=datetime.now(UTC))
        for secret in ("privkey.pem", "account.json"):
            if (path := self.folder / secret).exists():
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return chain

    def status(self) -> object:
        return self.pebble.certificate_status(self.chain().leaf.serial_number)["Status"]


@pytest.fixture(scope="module")
def ca(bed: TestBed, http_port: int, tls_port: int) -> Iterator[Pebble]:
    """A CA that asks at ports of ours, and offers three chains."""
    options = PebbleOptions(
        http_port=http_port,
        tls_port=tls_port,
        nonce_reject_percent=30,
        authz_reuse_percent=0,
        alternate_roots=2,
        retry_after_authz=0,
        retry_after_order=0,
        profiles={"default": Profile(), "shortlived": Profile("for addresses", 6 * 24 * 3600)},
    )
    pebble = bed.start_pebble(f"pebble-{secrets.token_hex(3)}", options)
    yield pebble
    bed.end_pebble(pebble)


@pytest.fixture
def desk(ca: Pebble, bind: Bind, http_port: int, tls_port: int, tmp_path: Path) -> Desk:
    settings = {"HTTP_PORT": str(http_port), "TLS_PORT": str(tls_port)}
    return Desk(tmp_path, ca, f"{secrets.token_hex(6)}.{bind.zones[0]}", settings)


@pytest.fixture(scope="module")
def issued_once(ca: Pebble, bed: TestBed, http_port: int, tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, str]:
    """What `issue_http01.py` leaves: an account, a key, a chain."""
    name = f"{secrets.token_hex(6)}.{bed.bind.zones[0]}"
    desk = Desk(tmp_path_factory.mktemp("issued"), ca, name, {"HTTP_PORT": str(http_port)})
    return desk, desk.run("issue_http01.py")


@pytest.fixture
def issued(issued_once: tuple[Desk, str], tmp_path: Path) -> Desk:
    return issued_once[0].copy(tmp_path)


def dns_settings(bind: Bind) -> dict[str, str]:
    name, key = bind.main_key
    return {"DNS_SERVER": bind.address, "RESOLVERS": bind.address, "TSIG_NAME": name, "TSIG_SECRET": key.secret}


def test_the_tutorial_shows_what_its_program_says(issued_once: tuple[Desk, str]) -> None:
    desk, said = issued_once
    page = (EXAMPLES.parents[1] / "docs" / "library" / "tutorial.md").read_text()
    shown = re.findall(r"^```text\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0]
    # The order's URL and the instant are those of another order.
    as_shown = said.replace(desk.name, "www.example.com")
    as_shown = re.sub(r"https://\S+", "https://.../order/1", as_shown)
    as_shown = re.sub(r"valid until \S+", "valid until 2027-02-21T00:01:51Z", as_shown)
    assert as_shown.splitlines() == shown.splitlines()


def test_porcelain_http01(issued_once: tuple[Desk, str]) -> None:
    desk, said = issued_once
    desk.check(desk.name)
    assert AccountCredentials.from_json((desk.folder / "account.json").read_text()).account_url
    assert "Issued, valid until" in said


def test_porcelain_dns01_with_a_wildcard(desk: Desk, bind: Bind) -> None:
    said = desk.run("issue_dns01.py", **dns_settings(bind))
    desk.check(desk.name, f"*.{desk.name}")
    assert "Issued" in said
    assert f"_acme-challenge.{desk.name}" not in bind.txt_records(bind.zones[0])


def test_porcelain_tls_alpn01(desk: Desk) -> None:
    desk.run("issue_tls_alpn01.py")
    desk.check(desk.name)


def test_synchronous_with_the_folder_of_a_web_server(desk: Desk, http_port: int) -> None:
    webroot = desk.folder / "html"
    webroot.mkdir()
    with web_folder(webroot, http_port):
        desk.run("issue_sync.py", WEBROOT=str(webroot))
    desk.check(desk.name)
    assert list(webroot.iterdir()) == []


def test_an_address_in_its_profile(desk: Desk) -> None:
    said = desk.run("issue_ip_address.py", ADDRESS=LOOPBACK)
    facts = CertificateFacts.of(desk.check(addresses=(LOOPBACK,)).leaf)
    assert (facts.not_after - facts.not_before).days <= 6
    assert "profile shortlived: for addresses" in said


def test_plumbing_http01(desk: Desk) -> None:
    said = desk.run("plumbing_http01.py")
    desk.check(desk.name)
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "Terms of service",
        "Account",
        "Order",
        "Certificate",
    ]


def test_plumbing_dns01_with_a_wildcard(desk: Desk, bind: Bind) -> None:
    assert "2 records" in desk.run("plumbing_dns01.py", **dns_settings(bind))
    desk.check(desk.name, f"*.{desk.name}")
    assert f"_acme-challenge.{desk.name}" not in bind.txt_records(bind.zones[0])


def test_an_order_is_gone_on_with_after_a_crash(issued: Desk) -> None:
    before = issued.key()
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        said = issued.fail("resume.py", HTTP_PORT=str(taken.getsockname()[1]))
    assert "Run this again to continue" in said
    order = (issued.folder / "order.txt").read_text()
    key = (issued.folder / "privkey-next.pem").read_bytes()
    assert stat.S_IMODE((issued.folder / "privkey-next.pem").stat().st_mode) == 0o600
    said = issued.run("resume.py")
    assert f"which is pending: {order}" in said
    assert "Ordered a certificate" not in said
    issued.check(issued.name)
    assert issued.key() == key != before
    assert not (issued.folder / "order.txt").exists()


def test_a_renewal_waits_until_the_ca_wants_it(issued: Desk) -> None:
    before = issued.key()
    first = issued.run("renew.py")
    plan = (issued.folder / "renewal.txt").read_text()
    assert first.startswith("Not due before")
    assert issued.run("renew.py") == first
    assert (issued.folder / "renewal.txt").read_text() == plan
    issued.pebble.set_renewal_info(
        (issued.folder / "fullchain.pem").read_text(),
        '{"suggestedWindow": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}}',
    )
    assert "Renewed until" in issued.run("renew.py")
    issued.check(issued.name)
    assert issued.key() != before


def test_a_renewal_with_the_same_key(issued: Desk) -> None:
    serial, key = issued.chain().leaf.serial_number, issued.key()
    issued.run("renew.py", "--now", "--same-key")
    issued.check(issued.name)
    assert issued.key() == key
    assert issued.chain().leaf.serial_number != serial


def test_renewal_information(issued: Desk) -> None:
    said = issued.run("renewal_info.py")
    assert certificate_identifier(leaf_der((issued.folder / "fullchain.pem").read_bytes())) in said
    assert re.search(r"Renew between \d{4}-\d\d-\d\d", said)


def test_a_chain_is_forced_or_refused_with_what_there_is(desk: Desk) -> None:
    root = x509.load_pem_x509_certificate(desk.pebble.root_pem(2)).subject
    wanted = str(root.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    desk.run("choose_chain.py", ROOT=wanted)
    assert (desk.check(desk.name).issuers[-1]).issuer == root
    refused = desk.fail("choose_chain.py", ROOT="Nobody's Root")
    assert 'no chain to "Nobody\'s Root"' in refused
    assert wanted in refused
    assert refused.count(" <- ") >= 3


def test_revocation_by_the_account_and_by_the_key(issued: Desk) -> None:
    assert issued.status() == "Valid"
    assert issued.run("revoke.py") == "Revoked\n"
    assert issued.status() == "Revoked"
    assert issued.run("revoke.py", "--by-its-key") == "It was already revoked\n"
    issued.run("renew.py", "--now")
    (issued.folder / "account.json").unlink()
    assert issued.run("revoke.py", "--by-its-key") == "Revoked\n"
    assert issued.status() == "Revoked"


def test_a_rollover_and_one_that_was_cut_short(desk: Desk) -> None:
    desk.run("credentials.py", CONTACT="mailto:ops@example.test")
    path = desk.folder / "account.json"
    before = path.read_text()
    assert "new ES384 key" in desk.run("rollover.py")
    after = AccountCredentials.from_json(path.read_text())
    assert after.key.thumbprint != AccountCredentials.from_json(before).key.thumbprint
    # The CA has confirmed, and then the program was killed before it wrote that down.
    path.write_text(before)
    (desk.folder / "account-next.pem").write_bytes(after.key.to_pem())
    assert "the account uses the new key" in desk.run("rollover.py")
    assert AccountCredentials.from_json(path.read_text()) == after
    assert "is valid" in desk.run("credentials.py")


def test_credentials_are_kept_and_found_again(desk: Desk) -> None:
    first = desk.run("credentials.py", CONTACT="mailto:ops@example.test")
    url = AccountCredentials.from_json((desk.folder / "account.json").read_text()).account_url
    assert f"{url} is valid, contacts mailto:ops@example.test" in first
    assert f"Found again: {url}" in first
    assert "accountDoesNotExist" in first
    assert desk.run("credentials.py").splitlines()[:2] == first.splitlines()[:2]


def test_an_external_account(make_pebble: Callable[..., Pebble], tmp_path: Path) -> None:
    secret = base64url.encode(secrets.token_bytes(32))
    strict = make_pebble(eab_required=True, eab_keys={"customer-1": secret})
    desk = Desk(tmp_path, strict, "unused")
    said = desk.run("external_account.py", EAB_KEY_ID="customer-1", EAB_MAC_KEY=secret)
    assert "required: True" in said
    assert "Without: " in said
    assert "Registered: " in said


def test_a_solver_of_ones_own(desk: Desk) -> None:
    assert "0 answers left behind" in desk.run("own_solver.py")


def test_a_dns_provider_of_ones_own(make_pebble: Callable[..., Pebble], bed: TestBed, tmp_path: Path) -> None:
    api = bed.challtestsrv
    pebble = make_pebble(dns_server=api.dns_address)
    desk = Desk(tmp_path, pebble, f"{secrets.token_hex(6)}.example.test")
    assert f"*.{desk.name} until" in desk.run("own_dns_provider.py", DNS_API=api.management_url)


def test_many_at_once(desk: Desk) -> None:
    said = desk.run("many_at_once.py", DOMAIN=desk.name, COUNT="12", CA=desk.pebble.directory_url)
    assert "12 of 12 certificates" in said


def test_errors_say_what_to_do(desk: Desk, bind: Bind, http_port: int) -> None:
    assert desk.run("handle_errors.py", NAMES=desk.name) == "Issued\n"
    assert "does not issue for" in desk.run("handle_errors.py", NAMES="x.blocked.example.test")
    elsewhere = f"{secrets.token_hex(4)}.nowhere.test"
    said = desk.run("handle_errors.py", NAMES=f"{secrets.token_hex(4)}.{bind.zones[0]},{elsewhere}")
    assert re.fullmatch(rf"{re.escape(elsewhere)}: (dns|connection|unauthorized): .+\n", said)
    with web_folder(desk.folder, http_port):
        said = desk.run("handle_errors.py", NAMES=f"{secrets.token_hex(4)}.{bind.zones[0]}")
    assert said.startswith("The CA was not asked to validate; http-01 for ")
    assert f"port {http_port}" in said


def test_a_record_that_stays(desk: Desk, bind: Bind) -> None:
    settings = dns_settings(bind)
    asked = desk.fail("persistent_record.py", **settings)
    wanted = re.search(r'(_validation-persist\.\S+) TXT "([^"]+)"', asked)
    assert wanted is not None
    asyncio.run(provider_of(bind).present([TxtRecord(wanted[1], wanted[2])]))
    for _ in range(2):
        assert f"{desk.name} until" in desk.run("persistent_record.py", **settings)


def test_no_example_is_left_out() -> None:
    """The last of the file: everything in the folder was run by a test above it."""
    ran = set(re.findall(r'(?:run|fail)\(\s*"([a-z0-9_]+\.py)"', Path(__file__).read_text()))
    assert {path.name for path in EXAMPLES.glob("*.py")} == ran
