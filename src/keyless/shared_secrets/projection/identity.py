"""Whose identity a session's ARN shows, and whether it is the one that this pod was given. Pure.

An SDK that finds no identity of the pod takes the node's: nothing fails, and whatever the node may do is done as it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from keyless.api import Arn, Reason

# The instance's id is the session's name: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html
_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
MEND = (
    "annotate the service account with eks.amazonaws.com/role-arn or make a pod identity association, then restart the "
    "Deployment external-secrets"
)


@dataclass(frozen=True, slots=True)
class Given:
    """What the pod was given when it was created. ``role_arn`` is the annotation's; an association names none here."""

    role_arn: str = ""
    associated: bool = False

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Given:
        """Read the variables that EKS's webhook sets. With both, SDKs take the web identity first."""
        if environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environ.get("AWS_ROLE_ARN"):
            return cls(role_arn=environ["AWS_ROLE_ARN"])
        uri = environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") or environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        return cls(associated=bool(uri))


@dataclass(frozen=True, slots=True)
class Wrong:
    """An identity that is not the pod's own."""

    reason: Reason
    message: str


def judge(arn: str, given: Given) -> Wrong | None:
    """Return what is wrong with the session ``arn``; ``None``: it is what the pod was given."""
    role, session = _session(arn)
    if _INSTANCE.fullmatch(session):
        return Wrong(Reason.IDENTITY_OF_NODE, f"the pod has no identity of its own, and {arn} is the node's: {MEND}")
    if not given.role_arn and not given.associated:
        return Wrong(Reason.IDENTITY_OF_ANOTHER_ROLE, f"the pod was given no role, and calls as {arn}: {MEND}")
    if given.role_arn and role != _role(given.role_arn):
        text = f"expected a session of {given.role_arn}, found {arn}: restart the Deployment external-secrets"
        return Wrong(Reason.IDENTITY_OF_ANOTHER_ROLE, text)
    if not role:
        return Wrong(Reason.IDENTITY_OF_ANOTHER_ROLE, f"expected a session of a role, found {arn}: {MEND}")
    return None


def _session(arn: str) -> tuple[str, str]:
    """The role of a session, as account and name, and the session's name; empty for a user or root."""
    try:
        parsed = Arn.parse(arn)
    except ValueError:
        return "", ""
    kind, _, rest = parsed.resource.partition("/")
    name, _, session = rest.partition("/")
    return (f"{parsed.account}/{name}", session) if kind == "assumed-role" else ("", "")


def _role(arn: str) -> str:
    """A role as account and name: a session's ARN leaves the path out."""
    try:
        parsed = Arn.parse(arn)
    except ValueError:
        return arn
    return f"{parsed.account}/{parsed.resource.rpartition('/')[2]}"
