"""What a Secret holds, as text. Pure."""

from __future__ import annotations

import base64
import binascii

from keyless.kube import KubeObject


def data_of(secret: KubeObject) -> dict[str, str]:
    """Its keys decoded; what is no base64 of UTF-8 text is empty."""
    return {name: text_of(value) for name, value in (secret.get("data") or {}).items()}


def text_of(encoded: str) -> str:
    """One value decoded; empty where it is no base64 of UTF-8 text."""
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
