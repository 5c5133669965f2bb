"""Objects as the API server gives them, at one fixed time."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

NOW: Final = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)

Body = dict[str, Any]


def stamp(**ahead: float) -> str:
    """The present and so much more, as objects have it."""
    return (NOW + dt.timedelta(**ahead)).isoformat().replace("+00:00", "Z")


def condition(kind: str, status: str, reason: str, message: str) -> Body:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": stamp(hours=-2),
        "observedGeneration": 1,
    }


def certificate(name: str = "web", *, namespace: str = "shop", spec: Body | None = None, **status: Any) -> Body:
    """A Certificate that is Ready, unless `status` says otherwise."""
    return {
        "apiVersion": "certwright.io/v1",
        "kind": "Certificate",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": "7",
        },
        "spec": {
            "dnsNames": [f"{name}.example.test"],
            "secretName": f"{name}-tls",
            "issuerRef": {"name": "pebble", "kind": "Issuer"},
            **(spec or {}),
        },
        "status": {
            "conditions": [
                condition("Ready", "True", "Ready", "The certificate is valid and will be renewed."),
                condition("Issuing", "False", "NothingToDo", "No certificate is being issued."),
            ],
            "observedGeneration": 1,
            "notBefore": stamp(days=-30),
            "notAfter": stamp(days=60),
            "renewalTime": stamp(days=30),
            "serialNumber": "4c4c4b7b",
            "revision": 3,
            **status,
        },
    }


def waiting(reason: str, message: str, *, authorization: Body, spec: Body | None = None, **order: Any) -> Body:
    """A Certificate without a certificate whose order waits."""
    return certificate(
        spec=spec,
        conditions=[condition("Ready", "False", reason, message), condition("Issuing", "True", reason, message)],
        notAfter=None,
        renewalTime=None,
        order={
            "url": "https://ca.example.test/order/1",
            "accountURL": "https://ca.example.test/account/1",
            "server": "https://ca.example.test/dir",
            "names": ["web.example.test"],
            "specHash": "x",
            "state": "pending",
            "createdAt": stamp(minutes=-2),
            "nextLookTime": stamp(seconds=10),
            "authorizations": [{"name": "web.example.test", "state": "pending", "presented": True, **authorization}],
            **order,
        },
    )


def issuer(name: str = "pebble", *, ready: bool = True, kind: str = "Issuer", **status: Any) -> Body:
    return {
        "apiVersion": "certwright.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "generation": 1},
        "spec": {
            "acme": {
                "server": "https://ca.example.test/dir",
                "privateKeySecretRef": {"name": "account"},
                "solvers": [{"dns01": {"rfc2136": {"nameserver": "192.0.2.53:5353"}}}],
            }
        },
        "status": {
            "conditions": [
                condition("Ready", "True", "AccountRegistered", "The account is registered.")
                if ready
                else condition("Ready", "False", "CAUnreachable", "The CA does not answer.")
            ],
            "observedGeneration": 1,
            "acme": {"uri": "https://ca.example.test/account/1"},
            **status,
        },
    }


def event(kind: str, reason: str, message: str, **when: float) -> Body:
    return {"type": kind, "reason": reason, "message": message, "eventTime": stamp(**when)}
