"""What the plugin answers, from what AWS said. Pure.

A key's id as Kubernetes is told it names the KMS key's ARN and its current material: KMS keeps both the same for as
long as it encrypts with the same bytes, and changes the second with a rotation, upon which kube-apiserver makes a new
data key. It never changes while KMS is away, and what was written is read with the key that its id names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from keyless.api import Arn, Permanent
from keyless.api.sealed_by import KmsKey

CONTEXT_KEY = "keyless:control-plane-id"
"""Of the encryption context: KMS opens nothing that was sealed for another control plane."""
PLAINTEXT_LIMIT = 4096
"""Bytes that KMS encrypts in one call."""
CIPHERTEXT_LIMIT = 1024
"""Bytes that kube-apiserver keeps, of a sealed data key and of a key's id."""
FRESH_SECONDS = 45.0
"""kube-apiserver asks each minute, and each of several callers more often: KMS is asked once in so long."""
PROOF_SECONDS = 600.0
"""A round trip proves both rights, for 3 cents a month; whether the key is there is asked oftener."""
CANARY = b"keyless"
OK = "ok"

_ADVICE: Mapping[str, str] = {
    "AccessDenied": "allow kms:{operation} on the key to the control plane's role, in its policy and in the key's own: "
    "`keyless verify encryption` names the statement",
    "NotFound": "expected a key of the pod's account and region; one of another is named by its ARN",
    "Disabled": "the key is disabled: aws kms enable-key",
    "KMSInvalidState": "the key is about to be deleted, or has no material: aws kms cancel-key-deletion, enable-key",
    "InvalidKeyUsage": "expected a symmetric key that encrypts (SYMMETRIC_DEFAULT)",
    "InvalidCiphertext": "it was not encrypted with this key for this control plane",
    "IncorrectKey": "it was not encrypted with this key",
    "NoCredentials": "the pod has no identity: annotate service account control-plane, or associate it, and restart",
    "Throttling": "KMS asks for fewer calls; it is tried again",
}
_SUFFIXES = ("Exception", "Error", "Fault")
CALLS = frozenset({"DescribeKey", "Encrypt", "Decrypt"})
"""KMS's. Another call is of those who give credentials, and refused for another reason."""
CREDENTIALS = "credentials"
"""In place of a call, where an agent refused them."""
_IDENTITY: Mapping[str, str] = dict.fromkeys(
    ("AccessDenied", "InvalidIdentityToken", "IDPRejectedClaim"),
    "the pod was given no credentials to ask KMS with; the role has to trust service account control-plane of this "
    "host namespace: `keyless verify encryption` names the link",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one key; times in seconds of a clock that only grows."""

    key_id: str = ""
    """As Kubernetes is told it; empty: KMS never answered."""
    trouble: str = OK
    code: str = ""
    """AWS's own, of the trouble."""
    looked_at: float = float("-inf")
    proven_at: float = float("-inf")

    @property
    def arn(self) -> str:
        """The key's ARN."""
        return arn_of(self.key_id)

    @property
    def is_well(self) -> bool:
        """Whether all that was asked of it came back."""
        return self.trouble == OK and bool(self.key_id)


def context(key: KmsKey) -> dict[str, str]:
    """The encryption context."""
    return {CONTEXT_KEY: key.control_plane_id}


def key_id_of(described: Mapping[str, Any]) -> str:
    """Of DescribeKey's answer; raises ``Permanent`` where it is no key that Kubernetes can be told of."""
    metadata = described.get("KeyMetadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    arn, material = metadata.get("Arn"), metadata.get("CurrentKeyMaterialId")
    # Not every region tells the material: then a rotation is not seen, and nothing else is another.
    text = f"{arn}#{material}" if isinstance(material, str) and material else str(arn)
    if not isinstance(arn, str) or not arn_of(text) or len(text.encode()) >= CIPHERTEXT_LIMIT:
        raise Permanent("DescribeKey: expected KeyMetadata.Arn to be a key's ARN, found something else")
    if metadata.get("KeySpec", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
        raise Permanent(f"InvalidKeyUsage: {_ADVICE['InvalidKeyUsage']}")
    return text


_STATES: Mapping[str, str] = {"Disabled": "DisabledException"}


def state_code(described: Mapping[str, Any]) -> str:
    """The code with which KMS would refuse to encrypt, by the key's state; empty: it would not for that."""
    metadata = described.get("KeyMetadata")
    state = str(metadata.get("KeyState", "Enabled")) if isinstance(metadata, Mapping) else "Enabled"
    return "" if state == "Enabled" else _STATES.get(state, "KMSInvalidStateException")


def arn_of(key_id: str) -> str:
    """The ARN in a key's id; empty: there is none. It comes from etcd, so it may be anybody's."""
    text = key_id.partition("#")[0]
    try:
        found = Arn.parse(text)
    except ValueError:
        return ""
    return text if found.service == "kms" and found.region and found.resource.startswith("key/") else ""


def is_fresh(found: Found, now: float) -> bool:
    """Whether nothing need be asked. What failed is asked again with the next question."""
    return found.is_well and now - found.looked_at < FRESH_SECONDS


def wants_proof(found: Found, now: float) -> bool:
    """Whether a round trip is due."""
    return not found.is_well or now - found.proven_at >= PROOF_SECONDS


def seen(found: Found, key_id: str, now: float, *, proven: bool) -> Found:
    """All went well."""
    return Found(key_id, OK, "", now, now if proven else found.proven_at)


def failed(found: Found, code: str, operation: str) -> Found:
    """The id stays: with another one, or none, kube-apiserver would stop to write what it has a data key for."""
    return replace(found, trouble=told(code, operation), code=code)


def told(code: str, operation: str) -> str:
    """What is said of a refusal: AWS's code and what to do. AWS's sentence stays out; it may quote what was sent."""
    advice = (_ADVICE if operation in CALLS else _IDENTITY).get(bare(code), "it is tried again")
    return f"{operation}: {code or 'Unknown'}: {advice.format(operation=operation)}"


def bare(code: str) -> str:
    """A code without what services append to it."""
    for suffix in _SUFFIXES:
        code = code.removesuffix(suffix)
    return code
