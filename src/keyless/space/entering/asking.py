"""Ask the host for a certificate of a control plane's own API, as oneself.

The key is made here and stays here.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keyless.api import Permanent, Refusal, Transient
from keyless.kube import Forbidden, Kube, KubeObject, Name, condition_of
from keyless.kube.resources import CERTIFICATESIGNINGREQUESTS
from keyless.serving.certificates import private_text, subject_of
from keyless.space.entering.names import LIFE_SECONDS, Identity, inside, signer_of

WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
POLL_SECONDS = 0.2


class NotLetIn(Permanent):
    """The host, or the operator, says no: asking again changes nothing."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate with its key, as PEM, and whom it names."""

    identity: Identity
    certificate: str
    key: str = field(repr=False)
    expires_at: datetime


async def ask(host: Kube, plane: Name, *, timeout_seconds: float) -> Credential:
    """Wait for a certificate that names who asks; raises ``NotLetIn``, ``Transient`` where nobody answers in time."""
    identity = await _who(host)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of(identity.user, identity.groups))
    signed = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    request: KubeObject = {
        "metadata": {"generateName": f"{plane.name}-"},
        "spec": {
            "signerName": signer_of(plane),
            "request": base64.b64encode(signed).decode(),
            "usages": ["client auth", "digital signature"],
            "expirationSeconds": LIFE_SECONDS,
        },
    }
    try:
        made = await host.create(CERTIFICATESIGNINGREQUESTS, request)
        signed_text = await _signed(host, made["metadata"]["name"], timeout_seconds)
    except Forbidden as error:
        raise NotLetIn(
            f"{error}: whoever enters a control plane needs the right to create and get certificatesigningrequests on "
            "the host; a ClusterRole gives it, and nothing is signed by it alone"
        ) from error
    try:
        certificate = base64.b64decode(signed_text, validate=True).decode()
        expires = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    except (TypeError, ValueError):
        raise Transient("the host's answer holds no certificate; ask again") from None
    return Credential(identity, certificate, private_text(key), expires)


async def _who(host: Kube) -> Identity:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    answer = await host.request("POST", WHO_AM_I, body=body)
    status = answer.get("status") if isinstance(answer, dict) else None
    user = (status or {}).get("userInfo") or {}
    found = inside(str(user.get("username") or ""), [str(each) for each in user.get("groups") or ()])
    if isinstance(found, Refusal):
        raise NotLetIn(found.detail)
    return found


async def _signed(host: Kube, name: str, timeout_seconds: float) -> str:
    """What the host calls the certificate, as it came."""
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                status = (await host.get(CERTIFICATESIGNINGREQUESTS, name)).get("status") or {}
                for kind in ("Denied", "Failed"):
                    if (no := condition_of(status.get("conditions"), kind)) is not None:
                        raise NotLetIn(f"{kind.lower()}: {no.get('message') or no.get('reason') or 'without a reason'}")
                if certificate := status.get("certificate"):
                    return str(certificate)
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        raise Transient(
            f"certificatesigningrequest {name}: not answered within {timeout_seconds:.0f} s: the operator waits while "
            "the control plane is being made (`kubectl get controlplanes -A`), or does not run"
        ) from None
