"""When a ready issuer is checked again without an event: its Secrets, its CA's directory, the age of its key."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.issuers.credentials import SecretReader
    from certwright.resources import AcmeIssuerSpec

KEY_INTERVAL: Final = dt.timedelta(hours=1)
"""How often the Secret of the account key is read: who shares the account may have put another key there."""
CREDENTIALS_INTERVAL: Final = dt.timedelta(minutes=5)
"""The same where the connection has credentials: a client certificate is renewed while the issuer is ready."""
DIRECTORY_INTERVAL: Final = dt.timedelta(hours=12)
"""How often the CA is asked for its terms and profiles."""
DOUBTED_INTERVAL: Final = dt.timedelta(hours=1)
"""The same while it requires an action for the account, such as to agree to its terms."""


@dataclass(frozen=True)
class Upkeep:
    """What of a ready issuer may change without an event.

    Attributes:
        versions: The resourceVersion of each Secret that it was loaded from, by name.
        interval: How often these are compared.
        secrets_at: When they are compared next.
        directory_at: When the directory is read next.
        rotation_at: When the account key is to be rotated; None if it is not.
    """

    versions: Mapping[str, str]
    interval: dt.timedelta
    secrets_at: dt.datetime
    directory_at: dt.datetime
    rotation_at: dt.datetime | None = field(default=None)

    @classmethod
    def begun(
        cls, spec: AcmeIssuerSpec, versions: Mapping[str, str], now: dt.datetime, rotation_at: dt.datetime | None
    ) -> Upkeep:
        """Return the upkeep of an issuer that has just been loaded."""
        credentials = spec.client_certificate_secret_ref or (spec.proxy and spec.proxy.credentials_secret_ref)
        interval = CREDENTIALS_INTERVAL if credentials else KEY_INTERVAL
        return cls(dict(versions), interval, now + interval, now + DIRECTORY_INTERVAL, rotation_at)

    @property
    def next_at(self) -> dt.datetime:
        """When something is to be looked at next."""
        times = (self.secrets_at, self.directory_at, self.rotation_at)
        return min(time for time in times if time is not None)

    def must_load(self, now: dt.datetime) -> bool:
        """Whether the key is to be rotated now."""
        return self.rotation_at is not None and self.rotation_at <= now

    async def secrets_changed(self, secrets: SecretReader) -> bool:
        """Return whether a Secret is another one now.

        Raises:
            KubeError: They cannot be read.
        """
        for name, version in self.versions.items():
            found = await secrets.kube_api.read_secret(secrets.namespace, name)
            if found is None or found["metadata"].get("resourceVersion", "") != version:
                return True
        return False

    def compared(self, now: dt.datetime) -> Upkeep:
        """Return this after the Secrets were compared."""
        return replace(self, secrets_at=now + self.interval)

    def doubted(self, now: dt.datetime) -> Upkeep:
        """Return this after the CA refused something because of its terms: the directory is read, once an hour."""
        earliest = max(now, self.directory_at - DIRECTORY_INTERVAL + DOUBTED_INTERVAL)
        return replace(self, directory_at=min(self.directory_at, earliest))

    def asked(self, now: dt.datetime) -> Upkeep:
        """Return this after the directory was read, or could not be."""
        return replace(self, directory_at=now + DIRECTORY_INTERVAL)
