"""Certificate profiles: is the one that an issuer names among those that the CA has?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from certwright.failures import IssuanceError

if TYPE_CHECKING:
    from certwright.acme import AcmeServer, Directory

MAX_SHOWN: Final = 20


async def directory_with_profile(server: AcmeServer, profile: str | None) -> Directory:
    """Return the CA's directory, asked for anew if it does not have the profile.

    An order with a profile that the directory does not list would be refused, and a refused order counts.

    Args:
        server: The CA.
        profile: What the issuer names, or None.

    Raises:
        IssuanceError: The CA has no such profile.
        AcmeError: The directory cannot be had.
    """
    directory = await server.directory()
    if profile is None or profile in directory.meta.profiles:
        return directory
    directory = await server.directory(refresh=True)
    if profile not in directory.meta.profiles:
        offered = ", ".join(sorted(directory.meta.profiles)[:MAX_SHOWN]) or "none at all"
        raise IssuanceError(
            "InvalidProfile",
            f"The CA {directory.url} has no profile {profile}; it offers {offered}. Correct spec.acme.profile.",
        )
    return directory
