"""What the component must reach: one KMS key, and of it no more than to encrypt and decrypt for control planes."""

from __future__ import annotations

from typing import Any

from keyless.api import Access
from keyless.api.kms_names import key_arn
from keyless.encryption.plan import CONTEXT_KEY

COMPONENT = "encryption"
SERVICE_ACCOUNT = "control-plane"
VALUE = "controlPlanes.kubernetes.encryption.kmsKeyId"
_CONTEXT = f"kms:EncryptionContext:{CONTEXT_KEY}"


def encryption_arn(key: str, place: tuple[str, str, str]) -> str:
    """The ARN of what the value names; ``place``: partition, region and account. Raises ``Permanent``."""
    return key_arn(key, place, VALUE, "encrypts")


def encryption_statements(arn: str) -> list[dict[str, Any]]:
    """The smallest policy for the key of :func:`encryption_arn`.

    Every call names its control plane in the encryption context, so what else the key has encrypted is not opened. IAM
    knows keys only: where an alias names the key, any key that bears it.
    """
    place, _, name = arn.rpartition(":")
    is_alias = name.startswith("alias/")
    resource = f"{place}:key/*" if is_alias else arn
    bears = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": name}} if is_alias else {}
    describes = {"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": resource}
    crypts = {"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": resource}
    return [
        {**describes, **({"Condition": bears} if bears else {})},
        {**crypts, "Condition": {"Null": {_CONTEXT: "false"}, **bears}},
    ]


def access(arn: str, control_plane_id: str) -> Access:
    """The key alone, which the component asks itself."""
    return Access(
        component=COMPONENT,
        service_account=SERVICE_ACCOUNT,
        actions=(),
        resources=(),
        probe="kms:Encrypt",
        encrypts=arn,
        context=((CONTEXT_KEY, control_plane_id),),
    )
