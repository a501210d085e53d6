"""Whether the chain could be read at all: what was not seen, and what grants it to whoever asks. Pure.

Told only where something was not seen. Without it a reader takes "unknown" for a fault of the chain, where it is one of
the credentials in the shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from keyless.identity.verify.behind import KeyUse, Unseen
from keyless.identity.verify.model import Association, Bucket, Facts, Link, Role, State, Unread
from keyless.policy import Source, Unreadable
from keyless.policy.amend import compact

READS = (
    "iam:GetRole", "iam:ListRoles", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
    "iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListOpenIDConnectProviders", "iam:GetOpenIDConnectProvider",
    "eks:DescribeCluster", "eks:ListClusters", "eks:DescribeAddon", "eks:ListPodIdentityAssociations",
    "eks:DescribePodIdentityAssociation",
    "s3:ListBucket", "s3:ListAllMyBuckets", "s3:GetBucketPolicy", "s3:GetEncryptionConfiguration",
    "secretsmanager:DescribeSecret", "secretsmanager:ListSecrets", "secretsmanager:GetResourcePolicy",
    "ssm:DescribeParameters", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants",
)  # fmt: skip
"""What ``keyless verify`` and ``keyless explain`` ask of AWS: reads alone, and of no value."""

_EXPECTED = "these credentials may read what the chain is judged by"
_LACKS = re.compile(r"the caller lacks ([a-z0-9-]+:[A-Za-z]+)")
_ANSWERED = re.compile(r"answered ([A-Za-z0-9.]+):")
_SESSION = re.compile(r"arn:[a-z-]+:sts::[0-9]{12}:assumed-role/([^/]+)/.*", re.ASCII)
_USER = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:user/(?:.*/)?([^/]+)", re.ASCII)
_WHO = "aws sts get-caller-identity says whose credentials a shell has"
_NONE = (
    "NoCredentials",
    "PartialCredentials",
    "ProfileNotFound",
    "CredentialRetrieval",
    "TokenRetrieval",
    "NoAuthToken",
)
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnauthorizedSSOToken", "SSOTokenLoad")
# What is missing, or waits for its deletion, refuses reads to everybody: its own link says so, with what mends it.
_OF_A_STATE = ("KMSInvalidStateException", "InvalidRequestException", "NoSuchBucket", "ResourceNotFoundException")
_ABOUT_IT = ("which key is behind ", "grants of ", "policy of ")
_INVALID = ("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidAccessKeyId",
            "AuthFailure", "InvalidSignatureException")  # fmt: skip


def aws_is_read(facts: Facts) -> Link | None:
    """``None`` where everything was seen that bears on the chain."""
    unseen = tuple(dict.fromkeys(_unseen(facts)))
    if not unseen:
        return None
    return Link("AWS access", State.UNKNOWN, _EXPECTED, f"not seen: {'; '.join(unseen)}", advice=_advice(facts, unseen))


def _unseen(facts: Facts) -> Iterator[str]:
    for told in _all_unseen(facts):
        if not (told.startswith(_ABOUT_IT) and set(_ANSWERED.findall(told)) & set(_OF_A_STATE)):
            yield told


def _all_unseen(facts: Facts) -> Iterator[str]:
    for name, fact in (
        ("account and issuer", facts.cluster),
        ("OIDC providers", facts.providers if not facts.by_association else ()),
        ("associations", facts.associations),
        ("agent", facts.agent if facts.by_association else None),
        ("bucket", facts.bucket),
        ("role", facts.role),
        ("the association's own role", facts.through),
        ("roles", facts.roles),
    ):
        if isinstance(fact, Unread):
            yield f"{name}: {fact.why}"
    yield from (f"{source.name}: {source.why}" for source in _sources(facts) if isinstance(source, Unreadable))
    for reached in facts.reached.values():
        for use in reached.keys.values():
            if isinstance(use, Unseen):
                yield use.what
            elif isinstance(use.grants, Unseen):
                yield use.grants.what


def _sources(facts: Facts) -> Iterator[Source | None]:
    for role in (facts.role, facts.through):
        if isinstance(role, Role):
            yield from role.identity
            yield role.boundary
    if isinstance(facts.association, Association):
        yield facts.association.policy
    if isinstance(facts.bucket, Bucket):
        yield facts.bucket.policy
    for reached in facts.reached.values():
        yield reached.policy
        yield from (use.policy for use in reached.keys.values() if isinstance(use, KeyUse))


def _advice(facts: Facts, unseen: tuple[str, ...]) -> str:
    """One way out: credentials come before rights."""
    told = "; ".join(unseen)
    codes = set(_ANSWERED.findall(told))
    local = 'a local Space: eval "$(keyless env)"'
    if codes & set(_NONE):
        return f"give this shell credentials (aws sso login, AWS_PROFILE, AWS_ACCESS_KEY_ID; {local}); {_WHO}"
    if codes & set(_EXPIRED):
        return (
            f"the credentials of this shell have expired: renew them (aws sso login, or assume the role again; {local})"
        )
    if codes & set(_INVALID):
        return f"AWS does not know the credentials of this shell: replace them ({local}); {_WHO}"
    if lacking := _LACKS.findall(told):
        return f"an administrator grants it: {_grant(facts.caller)}" if facts.caller else f"grant {', '.join(lacking)}"
    if "of account" in told or "another account" in told:
        return "ask with credentials of that account, too: each account shows its own policies alone"
    return f"ask again; {_WHO}"


def _grant(caller: str) -> str:
    """The command that lets the caller read, and read alone."""
    statement = {"Effect": "Allow", "Action": list(READS), "Resource": "*"}
    document = shlex.quote(compact({"Version": "2012-10-17", "Statement": [statement]}))
    given = f"--policy-name keyless-verify --policy-document {document}"
    if session := _SESSION.fullmatch(caller):
        return f"aws iam put-role-policy --role-name {session[1]} {given}"
    if user := _USER.fullmatch(caller):
        return f"aws iam put-user-policy --user-name {user[1]} {given}"
    return f"let {caller} do {', '.join(READS)}"
