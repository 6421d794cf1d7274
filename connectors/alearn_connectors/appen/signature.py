"""Whether a webhook was signed by somebody who knows the secret: pure.

Invariant: the comparison takes the same time wherever a signature differs, and nothing is genuine without a secret.
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import parse_qsl

HEADER = "x-cf-signature"
"""Where a signature is looked for when the form has none."""


def genuine(body: bytes, signature: str, secret: str) -> bool:
    """Whether `signature` is the hexadecimal SHA-1 of the payload `body` followed by `secret`.

    Appen's scheme is this plain hash, not HMAC-SHA1. Source: Appen, API Webhooks.
    """
    expected = hashlib.sha1(body + secret.encode(), usedforsecurity=False).hexdigest()
    said = signature.strip().lower().encode("utf-8", "replace")
    return hmac.compare_digest(expected.encode(), said) and bool(secret)


def signed(body: bytes, header: str = "") -> tuple[bytes, str]:
    """The payload of a webhook's form, byte for byte, and its signature; empty where there is none."""
    try:
        form = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=20))
    except ValueError:  # too many fields, or bytes that no form has
        return b"", ""
    return form.get(b"payload", b""), form.get(b"signature", b"").decode("utf-8", "replace") or header
