"""Ask when a certificate should be renewed (RFC 9773). No account is needed."""

import asyncio
import os
from pathlib import Path

from certwright.acme import (
    AcmeServer,
    HttpxTransport,
    NotOffered,
    certificate_identifier,
    directory_url,
    fetch_renewal_info,
)
from certwright.client import leaf_der

CA = directory_url(os.environ.get("CA", "letsencrypt-staging"))


async def main() -> None:
    certificate = leaf_der(Path("fullchain.pem").read_bytes())
    print(f"Certificate {certificate_identifier(certificate)}")
    async with HttpxTransport(trust_env=True) as transport:
        try:
            info = await fetch_renewal_info(AcmeServer(CA, transport), certificate)
        except NotOffered:
            print("This CA offers no renewal information: renew when one third of the lifetime remains")
            return
    print(f"Renew between {info.start:%Y-%m-%d %H:%M} and {info.end:%Y-%m-%d %H:%M}")
    print(f"For example at {info.choose():%Y-%m-%d %H:%M}; ask again in {info.retry_after:.0f} s")
    if info.explanation_url:
        print(f"Why: {info.explanation_url}")


asyncio.run(main())
