"""`certwright acme` over the life of certificates: hooks for challenges, list, reconfigure, install, delete."""

from __future__ import annotations

import json
import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from harness.acme_command import AcmeCommand
from harness.web_folder import web_folder
from testbed.options import PebbleOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.bed import TestBed
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble

HTTP_HOOK = """#!/bin/sh
set -eu
line=$(cat)
printf '%s\\n' "$line" >> {log}
case "$1" in
    present)
        mkdir -p "{root}/.well-known/acme-challenge"
        printf %s "$CERTWRIGHT_KEY_AUTHORIZATION" > "{root}$CERTWRIGHT_PATH" ;;
    cleanup) rm -f "{root}$CERTWRIGHT_PATH" ;;
esac
"""
DNS_HOOK = """#!{python}
import json, sys
import dns.message, dns.name, dns.query, dns.tsigkeyring, dns.update
request = json.load(sys.stdin)
record = request["record"]
assert request["action"] == sys.argv[1]
keys = dns.tsigkeyring.from_text({{{key!r}: {secret!r}}})
update = dns.update.Update({zone!r}, keyring=keys, keyalgorithm={algorithm!r})
name = dns.name.from_text(record["name"])
if sys.argv[1] == "present":
    update.add(name, 60, "TXT", record["value"])
else:
    update.delete(name, "TXT", record["value"])
answer = dns.query.tcp(update, {host!r}, port={port}, timeout=10)
sys.exit(answer.rcode())
"""


@pytest.fixture(scope="module")
def ca(bed: TestBed, http_port: int) -> Iterator[Pebble]:
    """A Pebble that validates at the port of a web server."""
    options = PebbleOptions(http_port=http_port, authz_reuse_percent=0, retry_after_authz=0, retry_after_order=0)
    started = bed.start_pebble("pebble-cli-manage", options)
    yield started
    bed.end_pebble(started)


@pytest.fixture(scope="module")
def acme(ca: Pebble, tmp_path_factory: pytest.TempPathFactory) -> AcmeCommand:
    """The command, with an account."""
    command = AcmeCommand(tmp_path_factory.mktemp("cli") / "state", ca.directory_url, ca.ca_bundle)
    command.ok("register", "--agree-tos", "--key-algorithm", "RS256:3072")
    return command


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o700)
    return path


def names_in(folder: Path) -> set[str]:
    leaf = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


@pytest.fixture
def http_hook(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return program(tmp_path / "hook", HTTP_HOOK.format(root=root, log=tmp_path / "log"))


def test_a_program_presents_files_and_cleans_them_up(
    acme: AcmeCommand, name: str, http_port: int, http_hook: Path
) -> None:
    root = http_hook.parent / "root"
    with web_folder(root, http_port):
        acme.ok("issue", name, f"www.{name}", "--solver", f"exec:http-01:{http_hook}")
    assert not [path for path in root.rglob("*") if path.is_file()]
    requests = [json.loads(line) for line in (http_hook.parent / "log").read_text().splitlines() if line]
    assert [
        (one["action"], one["domain"]) for one in sorted(requests, key=lambda one: (one["action"], one["domain"]))
    ] == [
        ("cleanup", name),
        ("cleanup", f"www.{name}"),
        ("present", name),
        ("present", f"www.{name}"),
    ]
    shown = next(one for one in requests if one["domain"] == name)
    assert shown["version"] == 1
    assert shown["identifier"] == {"type": "dns", "value": name}
    assert shown["file"]["url"] == f"http://{name}/.well-known/acme-challenge/{shown['file']['token']}"


def test_a_program_changes_a_zone_and_the_servers_are_watched(
    acme: AcmeCommand, bind: Bind, name: str, tmp_path: Path
) -> None:
    key_name, key = bind.main_key
    host, _, port = bind.address.rpartition(":")
    values = {"host": host, "port": port, "zone": bind.zones[0], "python": sys.executable}
    hook = program(
        tmp_path / "hook", DNS_HOOK.format(key=key_name, secret=key.secret, algorithm=key.algorithm, **values)
    )
    options = ["--dns-resolver", bind.address, "--dns-server", bind.address]
    acme.ok("issue", name, f"*.{name}", "--solver", f"exec:{hook}", *options)
    assert names_in(acme.certificate(name)) == {name, f"*.{name}"}
    assert not [record for record in bind.txt_records(bind.zones[0]) if record.endswith(name)]
    acme.ok("renew", name, "--force")


def test_a_program_that_fails_is_told_in_its_own_words_and_cleaned_up_after(
    acme: AcmeCommand, name: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    hook = program(
        tmp_path / "hook", f"#!/bin/sh\necho $1 >> {log}\nif [ $1 = present ]; then echo no such zone >&2; exit 3; fi\n"
    )
    ended = acme.run("issue", name, "--solver", f"exec:http-01:{hook}", "--json")
    assert ended.code == 4
    message = ended.document["error"]["message"]
    assert f"the hook {hook} present for {name} failed with exit code 3: no such zone" in message
    assert log.read_text().split() == ["present", "cleanup"]


def test_a_certificate_over_its_life(
    acme: AcmeCommand, name: str, http_port: int, http_hook: Path, tmp_path: Path
) -> None:
    target = tmp_path / "server"
    target.mkdir()
    with web_folder(http_hook.parent / "root", http_port):
        acme.ok(
            *("issue", name, "--solver", f"exec:http-01:{http_hook}", "--install-to", str(target)),
            *("--install-owner", f"{os.getuid()}:{os.getgid()}", "--install-mode", "0640"),
        )
        assert stat.S_IMODE((target / "privkey.pem").stat().st_mode) == 0o640
        assert (target / "fullchain.pem").read_bytes() == (acme.certificate(name) / "fullchain.pem").read_bytes()
        (listed,) = [one for one in acme.ok("list")["certificates"] if one["name"] == name]
        assert (listed["state"], listed["names"]) == ("valid", [name])
        assert name in acme.run("list").out
        assert name in acme.run("list", "--names").out.split()

        serial = listed["serial"]
        saved = acme.ok("reconfigure", name, "--deploy-hook", f"touch {tmp_path}/deployed", "--timeout", "300")
        assert (saved["issued"], saved["certificate"]["serial"]) == (False, serial)
        changed = acme.ok("reconfigure", name, "--add", f"WWW.{name}.")
        assert changed["issued"] is True
        assert names_in(acme.certificate(name)) == {name, f"www.{name}"}
        assert (tmp_path / "deployed").exists(), "the hook that was saved before runs"
        assert (target / "fullchain.pem").read_bytes() == (acme.certificate(name) / "fullchain.pem").read_bytes()
        later = acme.ok("reconfigure", name, "--remove", f"www.{name}", "--later")
        assert later["issued"] is False
        acme.ok("renew", name, "--force")
        assert names_in(acme.certificate(name)) == {name}

    # Now nothing answers any more: the certificate and its settings stay as they are.
    failed = acme.run("reconfigure", name, "--add", f"b.{name}", "--solver", "standalone", "--http-port", "1", "--json")
    assert failed.code != 0
    assert acme.ok("info", name)["certificate"]["names"] == [name]
    assert acme.run("reconfigure", name, "--json").code == 2
    refused = acme.run("delete", name, "--json")
    assert (refused.code, acme.certificate(name).is_dir()) == (2, True)
    assert acme.ok("delete", name, "--yes")["deleted"] == [name]
    assert not acme.certificate(name).exists()
    assert (target / "privkey.pem").exists(), "what servers use stays"


def test_contents_that_the_ca_leaves_out_are_told(
    acme: AcmeCommand, name: str, http_port: int, http_hook: Path
) -> None:
    with web_folder(http_hook.parent / "root", http_port):
        ended = acme.run(
            *("issue", name, "--solver", f"exec:http-01:{http_hook}", "--usage", "code signing"),
            *("--subject", "O=Example,C=DE"),
        )
    assert ended.code == 0, ended.err
    assert "The CA left out what was requested: usages code signing; subject C=DE, O=Example" in ended.err
