"""Make a session of a role: duration, session policies, tags, packed size. Who may is decided before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from keyless.local.cloud.authenticate import assumed_role_arn
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.iam import checks
from keyless.local.cloud.iam.directory import Directory
from keyless.local.cloud.iam.model import Role
from keyless.local.cloud.sessions import Credentials, Session, Sessions, new_id
from keyless.local.cloud.sts.packed import check_packed, packed_percent

DEFAULT_SECONDS = 3600
CHAINED_SECONDS = 3600
_POLICY_CHARACTERS = 2048
_MOST_POLICIES = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asked of its session."""

    name: str
    seconds: int = DEFAULT_SECONDS
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive_tags: tuple[str, ...] = ()
    source_identity: str = ""
    federated_provider: str = ""
    federated_keys: Mapping[str, str] = field(default_factory=dict)
    subject: str = ""
    chained: bool = False
    #: asked by a service of AWS for its own ends: names of any lawful length fit, whatever they pack to
    by_service: bool = False


@dataclass(frozen=True, slots=True)
class RoleSession:
    """A minted session."""

    session: Session
    credentials: Credentials
    arn: str
    packed_percent: int

    @property
    def assumed_role_id(self) -> str:
        """``AROA…:session``."""
        return f"{self.session.principal_id}:{self.session.name}"

    def credential_fields(self) -> dict[str, object]:
        """``Credentials`` as STS answers them."""
        return {
            "AccessKeyId": self.credentials.access_key_id,
            "SecretAccessKey": self.credentials.secret_access_key,
            "SessionToken": self.credentials.session_token,
            "Expiration": float(int(self.credentials.expires_at)),
        }

    def user_fields(self) -> dict[str, str]:
        """``AssumedRoleUser``."""
        return {"AssumedRoleId": self.assumed_role_id, "Arn": self.arn}


class Minter:
    """Mints sessions of roles."""

    def __init__(self, directory: Directory, sessions: Sessions) -> None:
        self._directory = directory
        self._sessions = sessions

    def mint(self, role: Role, wanted: Wanted, *, now: float) -> RoleSession:
        """Check what is left to check (steps 12 and 13 of facts/identity.md#token-checks) and mint."""
        self._check_seconds(role, wanted)
        self.check_policies(wanted)
        percent = packed_percent(wanted.policies, wanted.policy_arns, wanted.tags, subject=wanted.subject)
        if not wanted.by_service:
            check_packed(percent, what="session tags" if wanted.tags else "session policies")
        session = Session(
            access_key_id=new_id("ASIA", 16),
            kind="role",
            name=wanted.name,
            principal_name=role.name,
            principal_arn=role.arn,
            principal_id=role.id,
            issued_at=now,
            expires_at=now + wanted.seconds,
            policies=wanted.policies,
            policy_arns=wanted.policy_arns,
            tags=dict(wanted.tags),
            transitive_tags=wanted.transitive_tags,
            source_identity=wanted.source_identity,
            federated_provider=wanted.federated_provider,
            federated_keys=dict(wanted.federated_keys),
            chained=wanted.chained,
        )
        arn = assumed_role_arn(self._directory.account, role.name, wanted.name)
        return RoleSession(session, self._sessions.mint(session), arn, percent)

    def _check_seconds(self, role: Role, wanted: Wanted) -> None:
        longest = DEFAULT_SECONDS  # which every role allows
        if wanted.seconds > longest:
            longest = (self._directory.role(role.name) or role).max_session_seconds
        if wanted.chained and wanted.seconds > CHAINED_SECONDS:
            raise AwsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
                status=400,
            )
        if wanted.seconds > longest:
            raise AwsError(
                "ValidationError",
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
                status=400,
            )

    def check_policies(self, wanted: Wanted) -> None:
        """Raise unless the session policies are policies, are there, and fit."""
        for text in wanted.policies:
            checks.document(text, "session")
        for arn in wanted.policy_arns:
            if self._directory.policy(arn) is None:
                raise AwsError(
                    "MalformedPolicyDocument", f"The policy {arn} does not exist or is not attachable.", status=400
                )
        if sum(map(len, (*wanted.policies, *wanted.policy_arns))) > _POLICY_CHARACTERS:
            raise AwsError("PackedPolicyTooLarge", "Session policies exceed 2048 characters", status=400)


def session_policies(policy: str | None, arns: Sequence[Mapping[str, str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The parameters Policy and PolicyArns as texts and ARNs. The limit on ARNs is documented, and not in the model."""
    if len(arns) > _MOST_POLICIES:
        shown = ", ".join(str(one.get("arn", "")) for one in arns)
        text = (
            f"1 validation error detected: Value '[{shown}]' at 'policyArns' failed to satisfy constraint: Member must"
            f" have length less than or equal to {_MOST_POLICIES}"
        )
        raise AwsError("ValidationError", text, status=400)
    return (policy,) if policy else (), tuple(one["arn"] for one in arns if one.get("arn"))
