"""cert-manager's API: its names, and the translation of its objects into ours.

Everything here is pure and safe for any input: what cannot be read is a refusal, never an exception.
Based on cert-manager 1.21 (https://cert-manager.io/docs/reference/api-docs/).
"""

from certwright.cert_manager.certificate import translate_certificate
from certwright.cert_manager.controller_flags import ControllerFlags
from certwright.cert_manager.issuer import issuer_type, translate_issuer
from certwright.cert_manager.translation import Change, Refusal, Translation, Verdict

__all__ = [
    "Change",
    "ControllerFlags",
    "Refusal",
    "Translation",
    "Verdict",
    "issuer_type",
    "translate_certificate",
    "translate_issuer",
]
