"""What each component is granted: the guides' smallest permissions. Pure."""

from __future__ import annotations

import re

from keyless.api import Access
from keyless.billing.access import EXPORT, export_statements, signing_arn, signing_statements
from keyless.encryption.access import COMPONENT as ENCRYPTION
from keyless.encryption.access import SERVICE_ACCOUNT as ENCRYPTION_ACCOUNT
from keyless.encryption.access import encryption_statements
from keyless.identity.grants import Wish
from keyless.identity.verify import Cluster
from keyless.policy.amend import Written
from keyless.shared_secrets.access import ACTIONS
from keyless.space.workload_identity.model import ACCOUNTS, BILLING, SHARED_SECRETS

_PREFIX = re.compile(r"[A-Za-z0-9/_+=.@!-]+", re.ASCII)


def prefix_fault(prefix: str) -> str:
    """What speaks against a beginning of names; empty: nothing. A wildcard in it would let in what nobody named."""
    if _PREFIX.fullmatch(prefix) and prefix.strip("/"):
        return ""
    expected = "expected the beginning of names of secrets and parameters: letters, digits and /_+=.@!-, no wildcard"
    return f"{expected}, found {prefix!r}"


def signs_with(key: str, region: str, cluster: Cluster) -> str:
    """The ARN of the key that signs manifests and reports, which is asked in the bucket's region."""
    return signing_arn(key, (cluster.partition, region or cluster.region, cluster.account))


def billing_wish(
    bucket: str, role: str, key: str, cluster: Cluster, namespaces: tuple[str, ...], *, signs: str = ""
) -> Wish:
    """The billing guide's actions, without the deletion that only its IRSA page has and nothing uses."""
    arn = f"arn:{cluster.partition}:s3:::{bucket}"
    actions = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
    data: Written = {"Sid": "KeylessData", "Effect": "Allow", "Action": actions, "Resource": [arn, f"{arn}/*"]}
    statements = (data, *_key(key, ["kms:GenerateDataKey", "kms:Decrypt"]), *_signing(signs))
    return Wish(BILLING, ACCOUNTS[BILLING], role, statements, namespaces)


def secrets_wish(prefix: str, role: str, key: str, cluster: Cluster, namespaces: tuple[str, ...]) -> Wish:
    """The shared secrets guide's three actions on a prefix."""
    place = f"{cluster.region}:{cluster.account}"
    arns = [
        f"arn:{cluster.partition}:secretsmanager:{place}:secret:{prefix}*",
        f"arn:{cluster.partition}:ssm:{place}:parameter/{prefix.removeprefix('/')}*",
    ]
    data: Written = {"Sid": "KeylessData", "Effect": "Allow", "Action": list(ACTIONS), "Resource": arns}
    return Wish(SHARED_SECRETS, ACCOUNTS[SHARED_SECRETS], role, (data, *_key(key, ["kms:Decrypt"])), namespaces)


def export_wish(needs: Access, place: tuple[str, str], role: str, key: str, namespace: str) -> Wish:
    """What the scheduled export needs and nothing beside; ``place`` are the account and the reports' prefix."""
    statements = [{"Sid": "KeylessData", **one} for one in export_statements(needs, *place)]
    keys = (*_key(key, ["kms:GenerateDataKey", "kms:Decrypt"]), *_signing(needs.signs))
    return Wish(EXPORT, EXPORT, role, (*statements, *keys), (namespace,), of_space=True)


def encryption_wish(key: str, role: str, namespaces: tuple[str, ...]) -> Wish:
    """The key that encrypts Secrets of control planes, by its ARN or its alias's, and nothing else."""
    first, *others = encryption_statements(key)
    statements = ({"Sid": "KeylessData", **first}, *({"Sid": "KeylessKey", **one} for one in others))
    return Wish(ENCRYPTION, ENCRYPTION_ACCOUNT, role, statements, namespaces)


def _signing(arn: str) -> tuple[Written, ...]:
    return tuple({"Sid": "KeylessSigning", **one} for one in signing_statements(arn))


def _key(arn: str, actions: list[str]) -> tuple[Written, ...]:
    return ({"Sid": "KeylessKey", "Effect": "Allow", "Action": actions, "Resource": arn},) if arn else ()
