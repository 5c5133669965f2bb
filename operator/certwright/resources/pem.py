"""Certificates in PEM, as fields hold them: in base64, as Kubernetes writes bytes."""

import base64
import binascii
from typing import Final

_NO_PEM: Final = "is base64 but contains no PEM certificate"
_PEM_START: Final = "-----BEGIN CERTIFICATE-----"


def decode_pem(text: str, field: str = "caBundle") -> str:
    """Return the PEM text that a field holds.

    Raises:
        ValueError: It is not base64, or there is no certificate in it; the message begins with the field.
    """
    try:
        pem = base64.b64decode("".join(text.split()), validate=True).decode("ascii", errors="replace")
    except binascii.Error:
        raise ValueError(f"{field} is not base64") from None
    if _PEM_START not in pem:
        raise ValueError(f"{field} {_NO_PEM}")
    return pem
