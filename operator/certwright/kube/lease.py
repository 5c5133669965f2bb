"""A Lease (coordination.k8s.io/v1) as a lock: each change applies to the version on which it is based."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.common_metadata import CommonMetadata
from certwright.kube.errors import NotFound
from certwright.kube.paths import object_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.kube.client import KubeClient

GROUP_VERSION: Final = "coordination.k8s.io/v1"


@dataclass(frozen=True)
class LeaseRecord:
    """Who holds a lease; the fields of ``spec`` that an election is about.

    Attributes:
        holder: ``holderIdentity``; empty if it is free.
        duration: ``leaseDurationSeconds``; 0 if it is not set.
        acquired: ``acquireTime`` as written, micro-seconds included; empty if it is not set.
        renewed: ``renewTime``, likewise.
        transitions: ``leaseTransitions``, how often it went to another holder.
    """

    holder: str = ""
    duration: int = 0
    acquired: str = ""
    renewed: str = ""
    transitions: int = 0

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> LeaseRecord:
        """Take it from a Lease's ``spec``."""
        return cls(
            holder=spec.get("holderIdentity") or "",
            duration=spec.get("leaseDurationSeconds") or 0,
            acquired=spec.get("acquireTime") or "",
            renewed=spec.get("renewTime") or "",
            transitions=spec.get("leaseTransitions") or 0,
        )

    def to_spec(self) -> dict[str, Any]:
        """Return it as the fields of a ``spec``."""
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.duration,
            "acquireTime": self.acquired,
            "renewTime": self.renewed,
            "leaseTransitions": self.transitions,
        }


@dataclass(frozen=True)
class Sighting:
    """A record, and how long it has been seen unchanged by the clock of whoever looks: wall clocks are not compared.

    So that two processes may judge differently when a lease is over, each later than its holder does.

    Attributes:
        record: What was seen; the empty one stands for no Lease at all.
        since: When it was first seen like this, in seconds of one's own clock.
    """

    record: LeaseRecord
    since: float

    def then(self, record: LeaseRecord, now: float) -> Sighting:
        """Return what is known after another look."""
        return self if record == self.record else Sighting(record, now)

    def over_at(self, *, least: float, most: float) -> float:
        """Return when it is over if it is not renewed.

        Args:
            least: Seconds for which any record is honoured, whatever it says of itself.
            most: Seconds after which none is: whoever may write a Lease may write any duration.
        """
        return self.since + min(max(float(self.record.duration), least), most)


@dataclass(frozen=True)
class Lease:
    """A Lease at one version.

    Attributes:
        record: Who holds it.
        body: All of it, as the API server has it; labels and whatever else others wrote stay as they are.
    """

    record: LeaseRecord
    body: Mapping[str, Any] = field(repr=False)


class LeaseLock:
    """One Lease.

    Every method raises `certwright.kube.errors.KubeError` subclasses.

    Args:
        client: Sends the requests; its patience should be much shorter than the lease.
        namespace: Where the Lease is.
        name: What it is called.
        common: Labels and annotations for it.
        claim: Labels and annotations that say what the release serves, see `certwright.kube.claims`.
    """

    def __init__(
        self,
        client: KubeClient,
        *,
        namespace: str,
        name: str,
        common: CommonMetadata | None = None,
        claim: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    ) -> None:
        self._claim = claim
        self._client = client
        self._common = common or CommonMetadata()
        self._namespace = namespace
        self._name = name
        self._collection = object_path(f"/apis/{GROUP_VERSION}", "leases", namespace)
        self._path = object_path(f"/apis/{GROUP_VERSION}", "leases", namespace, name)

    def __str__(self) -> str:
        return f"Lease {self._namespace}/{self._name}"

    def _labelled(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a Lease with the common metadata, and with the claim in place of an earlier one."""
        full = self._common.added_to(body)
        metadata = dict(full["metadata"])
        for name, ours in zip(("labels", "annotations"), self._claim, strict=True):
            if ours:
                metadata[name] = {**(metadata.get(name) or {}), **ours}
        return {**full, "metadata": metadata}

    async def read(self) -> Lease | None:
        """Return the Lease, or None if there is none."""
        try:
            return _lease(await self._client.request("GET", self._path, action=f"read {self}"))
        except NotFound:
            return None

    async def create(self, record: LeaseRecord) -> Lease:
        """Create it; `Conflict` if it already exists."""
        body = {
            "apiVersion": GROUP_VERSION,
            "kind": "Lease",
            "metadata": {"namespace": self._namespace, "name": self._name},
            "spec": record.to_spec(),
        }
        body = self._labelled(body)
        # What was carried out but not answered must be seen as that, not hidden by a second try.
        return _lease(
            await self._client.request("POST", self._collection, action=f"create {self}", body=body, idempotent=False)
        )

    async def replace(self, lease: Lease, record: LeaseRecord) -> Lease:
        """Write over this version; `Conflict` if it has been written since, `NotFound` if it is gone."""
        body = self._labelled({**lease.body, "spec": {**(lease.body.get("spec") or {}), **record.to_spec()}})
        return _lease(
            await self._client.request("PUT", self._path, action=f"write {self}", body=body, idempotent=False)
        )

    async def delete(self, lease: Lease) -> None:
        """Delete it as it is in this version; `Conflict` if it has been written since, `NotFound` if it is gone."""
        metadata = lease.body["metadata"]
        preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        await self._client.request("DELETE", self._path, action=f"delete {self}", body=options)


def micro_time() -> str:
    """Return the present time as the API server writes it. For users: nothing here compares wall clocks."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _lease(body: dict[str, Any]) -> Lease:
    return Lease(LeaseRecord.of(body.get("spec") or {}), body)
