"""`certwright acme issue` against a strict Pebble: every solver, key and chain, and what is on disk afterwards."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from certwright.cli.dns.app import dns as dns_commands
from certwright.dns import TxtRecord
from certwright.pki import build_csr
from harness.acme import provider_of
from harness.acme_command import SECONDS, AcmeCommand, dns_options, read_until
from harness.web_folder import web_folder
from testbed.locations import PROJECT
from testbed.options import PebbleOptions, Profile
from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.bed import TestBed
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble


@pytest.fixture(scope="module")
def ca(bed: TestBed, http_port: int, tls_port: int) -> Iterator[Pebble]:
    """A Pebble that validates at the ports of the standalone servers."""
    started = bed.start_pebble(
        "pebble-cli-issue",
        PebbleOptions(
            http_port=http_port,
            tls_port=tls_port,
            authz_reuse_percent=100,
            alternate_roots=1,
            retry_after_authz=0,
            retry_after_order=0,
            profiles={"default": Profile(), "short": Profile("six days", 6 * 24 * 3600)},
        ),
    )
    yield started
    bed.end_pebble(started)


@pytest.fixture(scope="module")
def acme(ca: Pebble, tmp_path_factory: pytest.TempPathFactory) -> AcmeCommand:
    """The command, with an account."""
    command = AcmeCommand(tmp_path_factory.mktemp("cli") / "state", ca.directory_url, ca.ca_bundle)
    command.ok("register", "--agree-tos", "--email", "ops@example.test")
    return command


@pytest.fixture(scope="module")
def dns(bed: TestBed, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return dns_options(bed.bind, tmp_path_factory.mktemp("tsig") / "key")


def leaf(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())


def names_in(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def private_key(folder: Path) -> Any:
    return serialization.load_pem_private_key((folder / "privkey.pem").read_bytes(), None)


def fits(folder: Path) -> bool:
    """Whether key and certificate belong together."""
    return bool(private_key(folder).public_key() == leaf(folder).public_key())


def test_standalone_proves_names_and_addresses_and_keeps_everything(
    acme: AcmeCommand, name: str, http_port: int
) -> None:
    document = acme.ok("issue", name, f"www.{name}", LOOPBACK, "--solver", "standalone", "--http-port", str(http_port))
    folder = acme.certificate(name)
    assert names_in(leaf(folder)) == {name, f"www.{name}", LOOPBACK}
    assert fits(folder)
    certificate = document["certificate"]
    assert set(certificate) == {
        *("name", "names", "server", "serial", "not_before", "not_after", "renew_at", "key_type", "profile"),
        *("preferred_chain", "solvers", "order_url", "replaced", "files"),
    }
    assert certificate["names"] == [name, f"www.{name}", LOOPBACK]
    assert certificate["files"] == {
        kind: str(folder / f"{kind}.pem") for kind in ("cert", "chain", "fullchain", "privkey")
    }
    assert (folder / "cert.pem").read_text() + (folder / "chain.pem").read_text() == (
        folder / "fullchain.pem"
    ).read_text()


def test_files_are_for_whom_they_should_be(acme: AcmeCommand, name: str, http_port: int) -> None:
    before = os.umask(0)  # the modes must not come from the umask
    try:
        acme.ok("issue", name, "--solver", "standalone", "--http-port", str(http_port), "--combined")
    finally:
        os.umask(before)
    modes = {
        path.relative_to(acme.folder).parts[-1]: stat.S_IMODE(path.stat().st_mode)
        for path in acme.certificate(name).rglob("*")
        if path.is_file()
    }
    assert modes == {
        **dict.fromkeys(("fullchain.pem", "chain.pem", "cert.pem"), 0o644),
        **dict.fromkeys(("privkey.pem", "combined.pem", "certificate.json", "renewal.json"), 0o600),
    }
    folders = [acme.folder, *(path for path in acme.folder.rglob("*") if path.is_dir() and not path.is_symlink())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    accounts = list((acme.folder / "accounts").rglob("*.json"))
    assert accounts
    assert {stat.S_IMODE(path.stat().st_mode) for path in accounts} == {0o600}


def test_webroot_leaves_no_file_behind(acme: AcmeCommand, name: str, http_port: int, tmp_path: Path) -> None:
    with web_folder(tmp_path, http_port):
        acme.ok("issue", name, "--solver", f"webroot:{tmp_path}", "--key-type", "ec384")
    assert list(tmp_path.rglob("*")) == []
    assert private_key(acme.certificate(name)).curve.name == "secp384r1"


def test_tls_alpn_01_with_a_profile_and_a_life_of_its_own(acme: AcmeCommand, name: str, tls_port: int) -> None:
    arguments = ["--solver", "tls-alpn-01", "--tls-port", str(tls_port), "--profile", "short", "--key-type", "rsa2048"]
    document = acme.ok("issue", name, *arguments)
    certificate = leaf(acme.certificate(name))
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days in (5, 6)
    assert document["certificate"]["profile"] == "short"
    assert private_key(acme.certificate(name)).key_size == 2048


@pytest.mark.parametrize("solver", ["dns-01", "dns-account-01", "dns-persist-01"])
def test_dns_challenges_by_dynamic_updates(
    acme: AcmeCommand, bind: Bind, name: str, dns: list[str], solver: str
) -> None:
    acme.ok("issue", name, f"*.{name}", "--solver", solver, *dns)
    assert names_in(leaf(acme.certificate(name))) == {name, f"*.{name}"}
    left = [record for record in bind.txt_records(bind.zones[0]) if record.endswith(name)]
    assert left == ([f"_validation-persist.{name}"] if solver == "dns-persist-01" else [])


def test_the_secret_of_dynamic_updates_may_be_in_the_environment(acme: AcmeCommand, bind: Bind, name: str) -> None:
    key_name, key = bind.main_key
    where = ["--nameserver", bind.address, "--dns-resolver", bind.address, "--dns-server", bind.address]
    arguments = ["issue", name, "--solver", "dns-01", *where]
    signed = ["--tsig-key-name", key_name, "--tsig-algorithm", key.algorithm]
    acme.ok(*arguments, *signed, environment={"CERTWRIGHT_TSIG_SECRET": key.secret})
    without = acme.run(*arguments, *signed, "--force")
    assert (without.code, "CERTWRIGHT_TSIG_SECRET" in without.err) == (2, True)
    kept = "".join(path.read_text() for path in acme.folder.rglob("*.json"))
    assert key.secret not in kept


@pytest.fixture
def rfc2136(bed: TestBed, tmp_path: Path) -> Path:
    """A file for `--dns-credentials`, with what the bed's name server takes."""
    name, key = bed.bind.main_key
    path = tmp_path / "rfc2136.yaml"
    path.touch(mode=0o600)
    path.write_text(
        f"nameserver: {bed.bind.address}\ntsigKeyName: {name}\n"
        f"tsigAlgorithm: {key.algorithm.upper().replace('-', '', 1)}\ntsigSecret: {key.secret}\n"
    )
    return path


def test_a_provider_of_an_issuer_creates_the_records_at_renewals_as_well(
    acme: AcmeCommand, bind: Bind, name: str, rfc2136: Path
) -> None:
    where = ["--dns-resolver", bind.address, "--dns-server", bind.address]
    given = ["--dns", "RFC2136", "--dns-credentials", str(rfc2136), "--dns-zone", bind.zones[0], "--dns-ttl", "90"]
    acme.ok("issue", name, f"*.{name}", *given, *where)
    first = leaf(acme.certificate(name)).serial_number
    # A name that has no authorization yet, which the CA could use again.
    elsewhere = acme.run("reconfigure", name, "--add", f"new.{name}", "--dns-zone", "other.test")
    assert f"_acme-challenge.new.{name} is not in the zone other.test, in which the solver creates" in elsewhere.err
    acme.ok("renew", name, "--force")
    assert names_in(leaf(acme.certificate(name))) == {name, f"*.{name}"}
    assert leaf(acme.certificate(name)).serial_number != first
    assert [record for record in bind.txt_records(bind.zones[0]) if record.endswith(name)] == []
    kept = "".join(path.read_text() for path in acme.folder.rglob("*.json"))
    assert (str(rfc2136) in kept, bind.main_key[1].secret in kept) == (True, False)
    assert (f'"dns_zones":["{bind.zones[0]}"]' in "".join(kept.split()), "other.test" in kept) == (True, False)
    rfc2136.write_text("nameserver: x\ntsigKey: y\n")
    failed = acme.run("renew", name, "--force", "--json")
    assert failed.code == 7
    assert "tsigKey: is not a field; did you mean tsigKeyName?" in failed.err
    assert leaf(acme.certificate(name)).serial_number != first, "the last good one stays"


def test_credentials_are_checked_against_real_name_servers(bind: Bind, name: str, rfc2136: Path) -> None:
    where = ["--dns-resolver", bind.address, "--dns-server", bind.address]
    arguments = ["check", "rfc2136", f"*.{name}", "--dns-credentials", str(rfc2136), *where, "--json"]
    good = CliRunner().invoke(dns_commands, arguments)
    assert good.exit_code == 0, good.stderr
    steps = [(one["step"], one["ok"]) for one in json.loads(good.stdout)["steps"]]
    assert steps == [(step, True) for step in ("credentials", "name", "create", "look", "remove")]
    placed = CliRunner().invoke(dns_commands, [*arguments, "--dns-zone", bind.zones[0], "--dns-ttl", "90"])
    assert (placed.exit_code, "the record is to be in" in placed.stdout) == (0, True), placed.stderr
    elsewhere = CliRunner().invoke(dns_commands, [*arguments, "--dns-zone", "other.test"])
    assert (elsewhere.exit_code, json.loads(elsewhere.stdout)["error"]["type"]) == (1, "ZoneNotFound")
    assert f"_acme-challenge.{name}" not in bind.txt_records(bind.zones[0])
    rfc2136.write_text(rfc2136.read_text().replace(bind.main_key[1].secret, "d3Jvbmc="))
    bad = CliRunner().invoke(dns_commands, arguments)
    assert (bad.exit_code, json.loads(bad.stdout)["error"]["type"]) == (1, "TsigRejected")
    assert "BADSIG" in bad.stderr


async def test_dns_persist_01_says_the_record_and_then_needs_nothing(acme: AcmeCommand, bind: Bind, name: str) -> None:
    where = ["--dns-resolver", bind.address, "--dns-server", bind.address]
    told = acme.run("issue", name, "--solver", "dns-persist-01", *where)
    assert told.code == 4
    wanted = re.search(r'(_validation-persist\.\S+) TXT "([^"]+)"', told.err)
    assert wanted is not None
    assert f"accounturi={acme.ok('account')['account']['url']}" in wanted[2]
    await provider_of(bind).present([TxtRecord(wanted[1], wanted[2])])
    acme.ok("issue", name, "--solver", "dns-persist-01", *where)


async def test_by_hand_on_a_terminal(acme: AcmeCommand, bind: Bind, name: str) -> None:
    terminal = acme.on_terminal("issue", name, "--solver", "manual", "--dns-resolver", bind.address)
    terminal.wait_for("Press Enter when it is done")
    wanted = re.search(r'Add the record: (\S+)\. IN TXT "(\S+)"', terminal.shown)
    assert wanted is not None, terminal.shown
    record = TxtRecord(wanted[1], wanted[2])
    await provider_of(bind).present([record])
    terminal.type("\n")
    assert terminal.end() == 0, terminal.shown
    await provider_of(bind).clean_up([record])
    assert f"No longer needed, please remove: {record.name}" in terminal.shown
    assert fits(acme.certificate(name))


async def test_by_hand_without_a_terminal_the_name_servers_are_watched(
    acme: AcmeCommand, bind: Bind, name: str
) -> None:
    arguments = ["--solver", "manual:dns-01", "--dns-resolver", bind.address, "--dns-server", bind.address]
    process = acme.start("issue", name, *arguments)
    shown = read_until(process, "Waiting up to")
    wanted = re.search(r'Add the record: (\S+)\. IN TXT "(\S+)"', shown)
    assert wanted is not None, shown
    await provider_of(bind).present([TxtRecord(wanted[1], wanted[2])])
    _, rest = process.communicate(timeout=SECONDS)
    await provider_of(bind).clean_up([TxtRecord(wanted[1], wanted[2])])
    assert process.returncode == 0, shown + rest


def test_ctrl_c_at_a_question_cleans_up_and_ends_with_130(acme: AcmeCommand, bind: Bind, name: str) -> None:
    terminal = acme.on_terminal("issue", name, "--solver", "manual", "--dns-resolver", bind.address)
    terminal.wait_for("Press Enter when it is done")
    terminal.interrupt()
    assert terminal.end() == 130
    assert "Unless you plan to continue, please remove: _acme-challenge" in terminal.shown
    assert "Traceback" not in terminal.shown


def test_solvers_are_chosen_by_zone(acme: AcmeCommand, bind: Bind, name: str, http_port: int, dns: list[str]) -> None:
    other = f"{secrets.token_hex(4)}.{bind.zones[1]}"
    arguments = ["--solver", "standalone", "--http-port", str(http_port), "--solver", f"{bind.zones[1]}=dns-01", *dns]
    ended = acme.run("issue", name, f"*.{other}", *arguments)
    assert ended.code == 0, ended.err
    assert f"The CA validates http-01, dns-01 for {name}, *.{other}" in ended.err or (
        f"The CA validates dns-01, http-01 for *.{other}, {name}" in ended.err
    )


def test_a_request_is_certified_and_its_key_stays_elsewhere(
    acme: AcmeCommand, name: str, http_port: int, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "request.der").write_bytes(build_csr(key, dns_names=[name]))
    arguments = ["--csr", str(tmp_path / "request.der"), "--solver", "standalone", "--http-port", str(http_port)]
    document = acme.ok("issue", *arguments)
    folder = acme.certificate(name)
    assert leaf(folder).public_key() == key.public_key()
    assert set(document["certificate"]["files"]) == {"cert", "chain", "fullchain", "request"}
    assert document["certificate"]["key_type"] is None
    first = leaf(folder).serial_number
    acme.ok("renew", name, "--force")
    assert leaf(folder).serial_number != first
    assert leaf(folder).public_key() == key.public_key()
    other = acme.run("issue", "other.example.test", *arguments)
    assert (other.code, name in other.err) == (2, True)


def test_the_chain_can_be_chosen(acme: AcmeCommand, ca: Pebble, name: str, http_port: int) -> None:
    roots = [x509.load_pem_x509_certificate(ca.root_pem(number)) for number in (0, 1)]
    for root in roots:
        common_name = str(root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        arguments = ["--solver", "standalone", "--http-port", str(http_port), "--preferred-chain", common_name]
        acme.ok("issue", name, *arguments)
        last = x509.load_pem_x509_certificates((acme.certificate(name) / "chain.pem").read_bytes())[-1]
        last.verify_directly_issued_by(root)
    before = (acme.certificate(name) / "fullchain.pem").read_bytes()
    refused = acme.run(
        *(
            "issue",
            name,
            "--solver",
            "standalone",
            "--http-port",
            str(http_port),
            "--preferred-chain",
            "Nobody",
            "--json",
        )
    )
    assert refused.code == 3
    assert refused.document["error"]["type"] == "PreferredChainMissing"
    assert len(refused.document["error"]["offered"]) == 2
    assert (acme.certificate(name) / "fullchain.pem").read_bytes() == before


def test_a_good_certificate_is_not_issued_again(acme: AcmeCommand, name: str, http_port: int) -> None:
    arguments = ["issue", name, "--solver", "standalone", "--http-port", str(http_port)]
    assert acme.ok(*arguments)["issued"] is True
    again = acme.ok(*arguments)
    assert again["issued"] is False
    assert acme.ok(*arguments, "--force")["certificate"]["serial"] != again["certificate"]["serial"]


def test_the_deploy_hook_gets_the_files_and_its_failure_is_told(
    acme: AcmeCommand, name: str, http_port: int, tmp_path: Path
) -> None:
    arguments = ["issue", name, "--solver", "standalone", "--http-port", str(http_port), "--deploy-hook"]
    seen = tmp_path / "seen"
    acme.ok(*arguments, f'echo noise; env > "{seen}"', environment={"CERTWRIGHT_TSIG_SECRET": "hidden"})
    variables = dict(line.split("=", 1) for line in seen.read_text().splitlines() if "=" in line)
    folder = acme.certificate(name)
    assert variables["CERTWRIGHT_FULLCHAIN"] == str(folder / "fullchain.pem")
    assert variables["CERTWRIGHT_PRIVKEY"] == str(folder / "privkey.pem")
    assert (variables["CERTWRIGHT_NAMES"], variables["CERTWRIGHT_NAME"]) == (name, name)
    page = (PROJECT / "docs/cli.md").read_text().partition("### Deploy hook")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(CERTWRIGHT_\w+)`", page))
    # Two are those of the command itself.
    given = {"CERTWRIGHT_ACME_DIR", "CERTWRIGHT_ACME_SERVER"}
    assert {one for one in variables if one.startswith("CERTWRIGHT_")} == told | given
    assert "CERTWRIGHT_TSIG_SECRET" not in variables
    failed = acme.run(*arguments, "exit 3", "--force", "--json")
    assert failed.code == 8
    assert failed.document["issued"] is True
    assert failed.document["hook_error"].endswith("failed with exit code 3")
    # It is still owed, and `renew` tries it again although nothing is due.
    owed = acme.run("renew", name, "--json")
    assert (owed.code, owed.document["certificates"][0]["state"]) == (8, "hook failed")


def test_a_dry_run_keeps_nothing(acme: AcmeCommand, ca: Pebble, name: str, http_port: int) -> None:
    arguments = ["issue", name, "--solver", "standalone", "--http-port", str(http_port), "--dry-run"]
    assert acme.run(*arguments).code == 2
    document = acme.ok(*arguments, "--staging-server", ca.directory_url)
    assert (document["issued"], document["dry_run"]) == (False, True)
    assert not acme.certificate(name).exists()


def test_what_openssl_says_of_it(acme: AcmeCommand, ca: Pebble, name: str, http_port: int, tmp_path: Path) -> None:
    acme.ok("issue", name, "--solver", "standalone", "--http-port", str(http_port))
    folder = acme.certificate(name)
    (tmp_path / "root.pem").write_bytes(ca.root_pem())
    command = ["openssl", "verify", "-CAfile", str(tmp_path / "root.pem"), "-untrusted", str(folder / "chain.pem")]
    done = subprocess.run([*command, str(folder / "cert.pem")], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.stdout.endswith("cert.pem: OK\n"), done.stderr
    shown = acme.run("info", folder / "fullchain.pem").out
    assert f"Names:       {name}" in shown


def test_what_can_be_looked_up(acme: AcmeCommand, ca: Pebble, name: str, http_port: int) -> None:
    directory = acme.ok("info", ca.directory_url)["directory"]
    assert directory["caa_identities"] == ["pebble.test"]
    assert set(directory["profiles"]) == {"default", "short"}
    assert directory["extensions"]["renewal information"] is True
    address = "192.0.2.7"  # proven by nobody, so that all of its challenges are on offer
    offers = acme.ok("discover", name, f"*.{name}", address)["names"]
    offered = {offer["name"]: set(offer["challenges"]) for offer in offers}
    assert offered[address] == {"http-01", "tls-alpn-01"}
    assert "http-01" not in offered[f"*.{name}"]
    assert offered[name] >= {"http-01", "tls-alpn-01", "dns-01", "dns-account-01", "dns-persist-01"}
    acme.ok("issue", name, "--solver", "standalone", "--http-port", str(http_port))
    told = acme.ok("ari", name)
    assert told["window"]["start"] < told["chosen"] < told["window"]["end"]
    listed = acme.ok("info")
    assert name in [certificate["name"] for certificate in listed["certificates"]]
    assert listed["accounts"][0]["server"] == ca.directory_url


def test_revocation_by_the_account_and_by_the_key(
    acme: AcmeCommand, ca: Pebble, name: str, http_port: int, tmp_path: Path
) -> None:
    issue = ["issue", name, "--solver", "standalone", "--http-port", str(http_port)]
    acme.ok(*issue)
    serial = leaf(acme.certificate(name)).serial_number
    assert acme.ok("revoke", name, "--reason", "superseded")["by"] == "account"
    assert ca.certificate_status(serial)["Status"] == "Revoked"
    assert acme.ok("revoke", name)["already_revoked"] is True
    assert acme.ok("renew", name)["certificates"][0]["state"] == "revoked"
    # What is revoked is not good: it is issued again without being forced.
    assert acme.ok(*issue)["issued"] is True
    serial = leaf(acme.certificate(name)).serial_number
    # A file alone, by somebody without any account.
    stranger = AcmeCommand(tmp_path / "empty", ca.directory_url, ca.ca_bundle)
    folder = acme.certificate(name)
    done = stranger.ok("revoke", folder / "cert.pem", "--key", folder / "privkey.pem", "--reason", "keyCompromise")
    assert (done["by"], done["reason"]) == ("certificate key", "keyCompromise")
    assert ca.certificate_status(serial)["Status"] == "Revoked"
    assert acme.run("revoke", name, "--reason", "boredom").code == 2


def opened_with(password: str, folder: Path) -> str:
    """What OpenSSL finds in a keystore, or an empty text if the password does not open it."""
    command = ["openssl", "pkcs12", "-in", str(folder / "keystore.p12"), "-nodes", "-passin", "stdin"]
    done = subprocess.run(command, input=f"{password}\n", capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout if done.returncode == 0 else ""


def test_a_keystore_is_written_and_renewed_with_a_password_from_a_file(
    acme: AcmeCommand, name: str, http_port: int, tmp_path: Path
) -> None:
    password = secrets.token_hex(12)
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text(f"{password}\nnot this line\n")
    arguments = ["--solver", "standalone", "--http-port", str(http_port), "--pkcs12"]
    issued = acme.ok("issue", name, *arguments, "--pkcs12-password-file", str(tmp_path / "password"))
    folder = acme.certificate(name)
    assert issued["certificate"]["files"]["keystore"] == str(folder / "keystore.p12")
    assert (folder / "keystore.p12").stat().st_mode & 0o777 == 0o600
    for _ in range(2):
        found = opened_with(password, folder)
        assert (folder / "privkey.pem").read_text() in found
        assert (folder / "cert.pem").read_text() in found
        assert (folder / "chain.pem").read_text() in found
        assert f"friendlyName: {name}" in found
        before = (folder / "keystore.p12").read_bytes()
        acme.ok("renew", name, "--force")
        assert (folder / "keystore.p12").read_bytes() != before
    assert password not in "".join(path.read_text() for path in acme.folder.rglob("*.json"))
    # Without it nothing is ordered, and what is there stays.
    (tmp_path / "password").unlink()
    before = (folder / "keystore.p12").read_bytes()
    failed = acme.run("renew", name, "--force", "--json")
    assert failed.code == 7
    assert "Cannot read the password of the keystore" in failed.document["certificates"][0]["error"]["message"]
    assert (folder / "keystore.p12").read_bytes() == before


def test_a_person_is_asked_for_the_password_of_a_keystore_and_nobody_sees_it(
    acme: AcmeCommand, name: str, http_port: int
) -> None:
    arguments = ["issue", name, "--solver", "standalone", "--http-port", str(http_port), "--pkcs12-legacy"]
    nobody = acme.run(*arguments, "--json")
    assert (nobody.code, "--pkcs12-password-file" in nobody.document["error"]["message"]) == (2, True)
    for second, code in (("other", 2), ("hunter22", 0)):
        terminal = acme.on_terminal(*arguments)
        terminal.wait_for("Password for the keystore:")
        terminal.type("hunter22\n")
        terminal.wait_for("Repeat the password:")
        terminal.type(f"{second}\n")
        assert terminal.end() == code, terminal.shown
        assert "hunter22" not in terminal.shown
    assert "BEGIN PRIVATE KEY" in opened_with("hunter22", acme.certificate(name))
    # `renew` has nobody to ask, and says what it needs.
    assert acme.run("renew", name, "--force").code == 7
    acme.ok("renew", name, "--force", environment={"CERTWRIGHT_PKCS12_PASSWORD": "another one"})
    assert opened_with("hunter22", acme.certificate(name)) == ""
    assert "BEGIN PRIVATE KEY" in opened_with("another one", acme.certificate(name))


def test_other_options_for_a_good_certificate_are_not_dropped_in_silence(
    acme: AcmeCommand, name: str, http_port: int
) -> None:
    arguments = ["issue", name, "--solver", "standalone", "--http-port", str(http_port)]
    acme.ok(*arguments)
    again = acme.run(*arguments, "--deploy-hook", "true", "--combined")
    assert again.code == 0
    assert "Warning: It was issued with other settings, which remain in effect: --deploy-hook, --combined" in again.err


def test_a_key_that_everybody_can_read_is_warned_of(
    acme: AcmeCommand, name: str, http_port: int, tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    acme.ok("issue", name, "--solver", "standalone", "--http-port", str(http_port))
    key.write_bytes((acme.certificate(name) / "privkey.pem").read_bytes())
    key.chmod(0o644)
    arguments = ["issue", name, "--solver", "standalone", "--http-port", str(http_port), "--force", "--key", str(key)]
    assert f"{key} contains a secret" in acme.run(*arguments).err
    key.chmod(0o640)
    assert "contains a secret" not in acme.run(*arguments).err
