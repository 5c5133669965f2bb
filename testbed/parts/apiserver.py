"""The Kubernetes API server."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from testbed.certificates import KeyPair, write_signing_key
from testbed.errors import BedError
from testbed.kubeconfig import write_kubeconfig
from testbed.network import KUBERNETES_SERVICE, SERVICE_RANGE
from testbed.part import Part, Site
from testbed.ports import LOOPBACK
from testbed.web import answers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.parts.etcd import Etcd

ADMIN = "testbed:admin"
ADMIN_GROUP = "system:masters"
FRONT_PROXY = "front-proxy-client"
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
# Loopback is not allowed in the endpoints of the service `kubernetes`, and without a node no pod asks for it.
NO_NODE_FLAGS = ("--endpoint-reconciler-type=none",)
# What the authorizers said, in the annotations of an audit event.
DECISION = "authorization.k8s.io/decision"
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class ApiServer(Part):
    """kube-apiserver with RBAC, reachable on loopback, and for pods at the node's address."""

    program = "kube-apiserver"
    # Its own end waits up to a minute for watches; the requests in flight are done long before.
    stop_grace = 2.0

    def __init__(self, site: Site, etcd: Etcd, *, audit: bool, node: bool = False) -> None:
        super().__init__(site)
        self._node = node
        self._etcd = etcd
        self._audit = audit
        self.kubeconfig = self.folder / "admin.kubeconfig"
        self.service_account_key = self.folder / "sa.key"
        self.audit_log = self.folder / "audit.log"

    @property
    def url(self) -> str:
        """Its address, an https URL."""
        return f"https://{LOOPBACK}:{self.ports['main']}"

    @cached_property
    def admin(self) -> KeyPair:
        """Client certificate of an administrator."""
        return self.site.authority.client(ADMIN, [ADMIN_GROUP])

    @cached_property
    def _tls(self) -> KeyPair:
        return self.site.authority.server(self.name, [KUBERNETES_SERVICE, *SERVICE_NAMES, self.site.address])

    def write_kubeconfig(self, path: Path, user: str, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig for `user` in `groups`, with a client certificate, and return its path."""
        pair = self.site.authority.client(user, groups)
        return write_kubeconfig(path, server=self.url, ca=self.site.authority.pem, client=pair)

    def command(self) -> Sequence[str | Path]:
        """Write the keys and return the command line."""
        public = self.folder / "sa.pub"
        if not self.service_account_key.exists():
            write_signing_key(self.service_account_key, public)
        write_kubeconfig(self.kubeconfig, server=self.url, ca=self.site.authority.pem, client=self.admin)
        return [
            self.site.programs["kube-apiserver"],
            f"--etcd-servers={self._etcd.url}",
            f"--secure-port={self.ports['main']}",
            f"--bind-address={self.site.listen}",
            f"--advertise-address={self.site.address}",
            *(self._node_flags() if self._node else NO_NODE_FLAGS),
            f"--cert-dir={self.folder}",
            f"--tls-cert-file={self._tls.certificate}",
            f"--tls-private-key-file={self._tls.key}",
            f"--client-ca-file={self.site.authority.certificate_path}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={public}",
            f"--service-account-signing-key-file={self.service_account_key}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--authorization-mode=Node,RBAC",
            *self._aggregation_flags(),
            "--anonymous-auth=false",
            "--profiling=false",
            *(self._audit_flags() if self._audit else ()),
        ]

    def ready(self) -> bool:
        """Ask /readyz."""
        return answers(f"{self.url}/readyz", tls=self.site.authority.client_context(self.admin))

    def audit_events(self, user: str | None = None) -> list[dict[str, Any]]:
        """Return the events of the audit log, one for each answered request; only those of `user` if given.

        Raises:
            BedError: the bed was started without audit.
        """
        if not self._audit:
            raise BedError("The API server writes no audit log", remedy="start it with BedOptions(audit=True)")
        # Most entries are about other users, and parsing them takes longer than searching.
        mark = f'"username":{json.dumps(user)}' if user else ""
        with self.audit_log.open() as log:
            events = [json.loads(line) for line in log if mark in line and line.endswith("\n")]
        return [event for event in events if user is None or user_of(event) == user]

    def refusals(self, user: str) -> list[str]:
        """Return the requests that `user` had no right to make, as verb and path, by the audit log.

        Other refusals with the same status are left out, such as writes to a namespace that is being deleted.

        Raises:
            BedError: the bed was started without audit.
        """
        return [
            f"{event['verb']} {event['requestURI']}"
            for event in self.audit_events(user)
            if event.get("annotations", {}).get(DECISION) == "forbid"
        ]

    def _aggregation_flags(self) -> list[str]:
        """Return the flags for APIs that other servers answer for: this client's headers tell them of the user."""
        client = self.site.authority.client(FRONT_PROXY)
        return [
            f"--requestheader-client-ca-file={self.site.authority.certificate_path}",
            f"--requestheader-allowed-names={FRONT_PROXY}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={client.certificate}",
            f"--proxy-client-key-file={client.key}",
        ]

    def _node_flags(self) -> list[str]:
        client = self.site.authority.client("kube-apiserver-kubelet-client", [ADMIN_GROUP])
        return [
            "--allow-privileged",
            f"--kubelet-client-certificate={client.certificate}",
            f"--kubelet-client-key={client.key}",
            f"--kubelet-certificate-authority={self.site.authority.certificate_path}",
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _audit_flags(self) -> list[str]:
        policy = self.folder / "audit-policy.json"
        policy.write_text(json.dumps(AUDIT_POLICY))
        return [
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
            # Megabytes: it is read as one file.
            "--audit-log-maxsize=1000",
        ]


def user_of(event: dict[str, Any]) -> str:
    """Return the user of an audit event; empty if its token belonged to a deleted account."""
    return str(event["user"].get("username", ""))
