"""What the pages show can be applied and typed: each YAML block and each kubectl command, at a real API server."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from harness.documented import Block, Command, blocks, commands, filled_in, pages
from testbed.definitions import GATEWAY_API, MONITORING
from testbed.errors import CommandFailed
from testbed.locations import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chart import Helm
    from testbed.bed import TestBed

YAML: Final = [block for page in pages() for block in blocks(page) if block.language == "yaml"]
KUBECTL: Final = [command for command in commands() if command.program == "kubectl"]
HARMLESS: Final = {"explain", "get"}
"""Commands that change nothing and end by themselves; what they name must be there."""
ISSUER: Final = {
    "server": "https://ca.example/directory",
    "privateKeySecretRef": {"name": "account"},
    "solvers": [{"dns01": {"rfc2136": {"nameserver": "ns1.example"}}}],
}

CERTIFICATE: Final = {"dnsNames": ["shop.example.com"], "secretName": "shop-tls", "issuerRef": {"name": "ca"}}

pytestmark = pytest.mark.usefixtures("without_operator")


@pytest.fixture(scope="module", autouse=True)
def _cluster_of_a_reader(bed: TestBed) -> Iterator[None]:
    bed.apply_crds()
    bed.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "certwright"}})
    with bed.crds(*GATEWAY_API.of("gateways"), *MONITORING.of("podmonitors", "servicemonitors")):
        yield


def _object(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "certwright.io/v1", "kind": kind, "metadata": {"name": "shown"}, "spec": spec}


def objects_of(block: Block, helm: Helm) -> list[dict[str, Any]]:
    """The objects that a block is, is a part of, or makes as values of the chart."""
    found: list[dict[str, Any]] = []
    for document in yaml.safe_load_all(filled_in(block.text)):
        if "kind" in document:
            found.append(document)
        elif document.keys() <= {"solvers", "profile", "caBundle", "server", "email"}:
            found.append(_object("Issuer", {"acme": {**ISSUER, **document}}))
        elif document.keys() == {"dns01"} and "webhooks" not in document["dns01"]:
            found.append(_object("Issuer", {"acme": {**ISSUER, "solvers": [document]}}))
        elif document.keys() == {"spec"} and "acme" in document["spec"]:
            found.append(_object("Issuer", {"acme": {**ISSUER, **document["spec"]["acme"]}}))
        elif document.keys() == {"spec"}:
            found.append(_object("Certificate", {**CERTIFICATE, **document["spec"]}))
        else:
            # The schema of the chart's values refuses what is none of them.
            kinds = ("certwright.io/v1/Issuer", "certwright.io/v1/ClusterIssuer")
            found += helm.objects({**document, "crds": {"install": False}}, api_versions=kinds)
    return found


def test_there_are_blocks_and_commands_to_look_at() -> None:
    assert len(YAML) > 3
    assert len(KUBECTL) > 10


@pytest.mark.parametrize("block", [pytest.param(block, id=block.where) for block in YAML])
def test_the_api_server_takes_each_block(bed: TestBed, helm: Helm, block: Block, namespace: str) -> None:
    found = objects_of(block, helm)
    assert found
    for body in found:
        where = () if "namespace" in body["metadata"] else ("-n", namespace)
        bed.kubectl("apply", "--server-side", "--dry-run=server", *where, "-f", "-", stdin=json.dumps(body))


@pytest.mark.parametrize("command", [pytest.param(command, id=str(command)) for command in KUBECTL])
def test_kubectl_takes_each_command(bed: TestBed, command: Command) -> None:
    known = set(re.findall(r"^  ([a-z-]+) ", bed.kubectl("--help"), flags=re.MULTILINE))
    verb = next(word for word in command.words[1:] if word in known)
    verbs = ("create", *command.words[2:4]) if verb == "create" else (verb,)
    verbs = tuple(word for word in verbs if re.fullmatch("[a-z-]+", word))
    help_text = bed.kubectl(*verbs, "--help") + bed.kubectl("options")
    assert set(command.options) <= set(re.findall(r"(?<![\w-])-{1,2}[A-Za-z][\w-]*", help_text))
    for flag, value in zip(command.words, command.words[1:], strict=False):
        # The others are files that the reader makes.
        if flag == "-f" and "/" in value and "<" not in value:
            files = sorted((PROJECT / value).glob("*.yaml")) if (PROJECT / value).is_dir() else [PROJECT / value]
            manifests = "\n---\n".join(filled_in(path.read_text(encoding="utf-8")) for path in files)
            applied = bed.kubectl(
                *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"), stdin=manifests
            )
            assert "serverside-applied" in applied
    foreign = any(word.endswith(".cert-manager.io") for word in command.words)
    if verb in HARMLESS and "NAMESPACE" not in command.words and not foreign:
        rest = [word for word in command.words[1:] if word not in {"-w", "--watch"}]
        try:
            bed.kubectl(*rest)
            refusal = ""
        except CommandFailed as error:
            refusal = str(error)
        # What the reader has by then is not here; the kind must be known all the same.
        assert not refusal or "(NotFound)" in refusal


def test_the_policy_that_holds_names_to_namespaces_does(bed: TestBed, namespace: str) -> None:
    (text,) = (block.text for block in YAML if "ValidatingAdmissionPolicyBinding" in block.text)
    policy, binding = yaml.safe_load_all(text)
    # For this namespace alone: there are others in the bed.
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    binding["spec"]["matchResources"] = here

    def apply(name: str) -> str:
        spec = {"dnsNames": [name], "secretName": "web-tls", "issuerRef": {"name": "ca"}}
        metadata = {"name": "web", "namespace": namespace}
        body = {"apiVersion": "certwright.io/v1", "kind": "Certificate", "metadata": metadata, "spec": spec}
        try:
            return bed.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(body))
        except CommandFailed as error:
            return str(error)

    for body in (policy, binding):
        bed.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    try:
        # The API server takes a while to notice a policy.
        deadline = time.monotonic() + 60
        while "are for this namespace" not in (said := apply("web.other.example.com")):
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        assert f"only names below {namespace}.example.com" in said
        assert "created" in apply(f"web.{namespace}.example.com")
    finally:
        for body in (binding, policy):
            bed.kubectl("delete", "-f", "-", stdin=json.dumps(body))
