"""Requests as the host's API server stores them: who asks is its word, what is asked for the asker's."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keyless.kube import KubeObject, Name
from keyless.serving.certificates import subject_of
from keyless.space.entering.names import signer_of

KEY = ec.generate_private_key(ec.SECP256R1())
CTP1 = Name("default", "ctp1")
SUBJECT_ONLY: Sequence[x509.ExtensionType] = ()


def pem(user: str, groups: Sequence[str] = (), *, key: Any = KEY, extensions: Any = SUBJECT_ONLY) -> str:
    """A request of PKCS #10, in base64."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of(user, groups))
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    signed = builder.sign(key, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def request(
    user: str, groups: Sequence[str] = (), *, name: str = "r", plane: Name = CTP1, asks: str | None = None, **spec: Any
) -> KubeObject:
    """What ``user`` of ``groups`` asks for; ``asks`` is what is asked for, in base64."""
    content = {
        "signerName": signer_of(plane),
        "request": pem(user, [each for each in groups if not each.startswith("system:")]) if asks is None else asks,
        "usages": ["client auth", "digital signature"],
        "username": user,
        "groups": list(groups),
        **spec,
    }
    return {"metadata": {"name": name}, "spec": content}
