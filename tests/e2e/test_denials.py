"""Twenty calls that AWS refuses: what ``keyless explain`` says of each, and that its command, where it has one, helps.

Each is tried with the token of its service account, so that neither the refusal nor its end rests on our own word.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from e2e import acting, fixing
from e2e.local_space import Keys, LocalSpace
from keyless.kube import Kube
from keyless.kube.resources import SERVICEACCOUNTS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

NAMESPACE = "default"
KEY_ADMIN = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}


@dataclass(slots=True)
class Scene:
    """One service account, its role and bucket, which bear one name; ``action`` on ``resource`` is what is tried."""

    space: LocalSpace
    host: Kube
    name: str
    action: str = "s3:PutObject"
    call: tuple[str, str] = ("s3", "put_object")
    params: dict[str, Any] = field(default_factory=dict)
    resource: str = ""

    @property
    def role(self) -> str:
        return acting.role_arn(self.space, self.name)

    @property
    def account(self) -> str:
        return self.space.name("AWS_ACCOUNT_ID")

    async def annotated(self, annotations: dict[str, str]) -> None:
        await self.host.create(
            SERVICEACCOUNTS, {"metadata": {"name": self.name, "annotations": annotations}}, NAMESPACE
        )

    async def whole(self, *, trust: Any = None, policy: Any = None) -> None:
        """Everything right, unless told: provider, bucket, role, annotation."""
        acting.make_provider(self.space)
        acting.make_bucket(self.space, self.name)
        trust = trust or acting.irsa_trust(self.space, acting.subject(NAMESPACE, self.name))
        acting.make_role(self.space, self.name, trust, policy or acting.bucket_policy(self.name))
        await self.annotated({acting.ROLE_ANNOTATION: self.role})
        self.asks_for_object(self.name)

    def asks_for_object(self, bucket: str) -> None:
        self.params = {"Bucket": bucket, "Key": "a", "Body": b"x"}
        self.resource = f"arn:aws:s3:::{bucket}/a"

    def asks_for_secret(self, arn: str) -> None:
        self.action, self.call = "secretsmanager:GetSecretValue", ("secretsmanager", "get_secret_value")
        self.params, self.resource = {"SecretId": arn}, arn

    def asks_for_parameter(self, name: str) -> None:
        self.action, self.call = "ssm:GetParameter", ("ssm", "get_parameter")
        self.params = {"Name": name, "WithDecryption": True}
        self.resource = f"arn:aws:ssm:{self.space.environ['AWS_REGION']}:{self.account}:parameter/{name}"

    def permit(self, *statements: Any) -> None:
        acting.permit(self.space, self.name, policy(*statements))

    def make_key(self, *statements: Any) -> str:
        kms = self.space.aws("kms")
        admin = {**KEY_ADMIN, "Principal": {"AWS": self.space.aws("sts").get_caller_identity()["Arn"]}}
        document = json.dumps(policy(*(statements or (admin,))))
        made: str = kms.create_key(Policy=document, BypassPolicyLockoutSafetyCheck=True)["KeyMetadata"]["Arn"]
        return made

    def of_account(self, **fields: Any) -> Any:
        return {**KEY_ADMIN, "Principal": {"AWS": f"arn:aws:iam::{self.account}:root"}, **fields}

    async def refusal(self) -> str:
        """What comes of it: the code of AWS's refusal, or nothing."""
        try:
            token = (await self.host.token(self.name, NAMESPACE, audiences=[acting.STS], expiration_seconds=600)).token
            sts = self.space.aws("sts", signed=False)
            role = (await self.host.get(SERVICEACCOUNTS, self.name, NAMESPACE))["metadata"].get("annotations") or {}
            arn = role.get(acting.ROLE_ANNOTATION, "")
            if not arn.startswith("arn:"):
                return "NoRole"
            made = sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="e2e", WebIdentityToken=token)
            found = made["Credentials"]
            keys = Keys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
            service, operation = self.call
            getattr(self.space.aws(service, keys), operation)(**self.params)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    def explained(self) -> dict[str, Any]:
        """What ``keyless explain`` says, and its exit code."""
        words = (f"{NAMESPACE}/{self.name}", self.action, self.resource, "--output", "json")
        said = self.space.keyless("explain", *words)
        assert said.returncode in (0, 1, 3), said.stderr
        return {**json.loads(said.stdout), "code": said.returncode, "text": said.stdout}


def policy(*statements: Any) -> Any:
    return {"Version": acting.VERSION, "Statement": list(statements)}


def deny(**fields: Any) -> Any:
    return {"Sid": "Guard", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*", **fields}


Denial = Callable[[Scene], Awaitable[None]]


async def an_action_that_is_not_listed(scene: Scene) -> None:
    await scene.whole(policy=acting.bucket_policy(scene.name, "s3:GetObject", "s3:ListBucket"))


async def another_prefix(scene: Scene) -> None:
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{scene.name}/usage/*"}
    await scene.whole(policy=policy(allow))


async def a_tag_that_the_role_lacks(scene: Scene) -> None:
    allow = acting.bucket_policy(scene.name)["Statement"][0]
    await scene.whole(policy=policy({**allow, "Condition": {"StringEquals": {"aws:PrincipalTag/team": "a"}}}))


async def a_deny_of_the_role(scene: Scene) -> None:
    await scene.whole(policy=policy(*acting.bucket_policy(scene.name)["Statement"], deny()))


async def a_deny_of_the_bucket(scene: Scene) -> None:
    await scene.whole()
    document = policy(deny(Principal="*", Resource=f"arn:aws:s3:::{scene.name}/*"))
    scene.space.aws("s3").put_bucket_policy(Bucket=scene.name, Policy=json.dumps(document))


async def a_boundary(scene: Scene) -> None:
    await scene.whole()
    iam = scene.space.aws("iam")
    document = json.dumps(acting.bucket_policy(scene.name, "s3:GetObject"))
    made = iam.create_policy(PolicyName=scene.name, PolicyDocument=document)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=scene.name, PermissionsBoundary=made)


async def a_trust_for_another_namespace(scene: Scene) -> None:
    await scene.whole(trust=acting.irsa_trust(scene.space, acting.subject("elsewhere", scene.name)))


async def a_trust_with_a_placeholder(scene: Scene) -> None:
    await scene.whole(trust=acting.irsa_trust(scene.space, "system:serviceaccount:${YOUR_NAMESPACE}:vector"))


async def a_trust_for_another_action(scene: Scene) -> None:
    trust = acting.irsa_trust(scene.space, acting.subject(NAMESPACE, scene.name))
    trust["Statement"][0]["Action"] = "sts:AssumeRole"
    await scene.whole(trust=trust)


async def a_trust_for_another_audience(scene: Scene) -> None:
    subject = acting.subject(NAMESPACE, scene.name)
    await scene.whole(trust=acting.irsa_trust(scene.space, subject, audience="vault.example.org"))


async def no_annotation(scene: Scene) -> None:
    await scene.whole()
    await reannotated(scene, {acting.ROLE_ANNOTATION: None})


async def a_misspelt_annotation(scene: Scene) -> None:
    await scene.whole()
    await reannotated(scene, {acting.ROLE_ANNOTATION: None, "eks.amazonaws.com/rolearn": scene.role})


async def an_annotation_that_is_no_arn(scene: Scene) -> None:
    await scene.whole()
    await reannotated(scene, {acting.ROLE_ANNOTATION: scene.name})


async def reannotated(scene: Scene, annotations: dict[str, str | None]) -> None:
    patch = {"metadata": {"annotations": annotations}}
    await scene.host.patch(SERVICEACCOUNTS, scene.name, patch, NAMESPACE)


async def a_role_that_is_not_there(scene: Scene) -> None:
    await scene.whole()
    await reannotated(scene, {acting.ROLE_ANNOTATION: f"{scene.role}-not"})


async def no_provider(scene: Scene) -> None:
    await scene.whole()
    acting.drop_provider(scene.space)


async def a_misspelt_bucket(scene: Scene) -> None:
    await scene.whole(policy=acting.bucket_policy(scene.name[:-1]))
    scene.asks_for_object(scene.name[:-1])


async def a_misspelt_secret(scene: Scene) -> None:
    await scene.whole(policy=acting.secrets_policy(scene.space, scene.name[:-1]))
    made = scene.space.aws("secretsmanager").create_secret(Name=scene.name, SecretString="x")["ARN"]
    scene.asks_for_secret(made.replace(scene.name, scene.name[:-1]))


async def a_key_that_knows_not_the_role(scene: Scene) -> None:
    await scene.whole(policy=acting.secrets_policy(scene.space, scene.name))
    key = scene.make_key()
    made = scene.space.aws("secretsmanager").create_secret(Name=scene.name, SecretString="x", KmsKeyId=key)["ARN"]
    scene.asks_for_secret(made)


async def a_key_that_leaves_it_to_the_role(scene: Scene) -> None:
    await scene.whole()
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": scene.make_key(scene.of_account())}
    scene.space.aws("s3").put_bucket_encryption(
        Bucket=scene.name,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
    )


async def a_key_that_denies(scene: Scene) -> None:
    guard = {"Sid": "Guard", "Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}
    allowed = acting.secrets_policy(scene.space, scene.name)["Statement"]
    await scene.whole(policy=policy(*allowed, KEY_ADMIN))
    key = scene.make_key(scene.of_account(), {**guard, "Principal": {"AWS": scene.role}})
    scene.space.aws("ssm").put_parameter(Name=scene.name, Value="x", Type="SecureString", KeyId=key)
    scene.asks_for_parameter(scene.name)


DENIALS: list[tuple[Denial, str, str, str, bool]] = [
    (an_action_that_is_not_listed, "AccessDenied", "PermissionMissing", "", True),
    (another_prefix, "AccessDenied", "PermissionMissing", "", True),
    (a_tag_that_the_role_lacks, "AccessDenied", "PermissionMissing", "", True),
    (a_deny_of_the_role, "AccessDenied", "PermissionDeniedExplicitly", "(Guard) of inline policy e2e", False),
    (a_deny_of_the_bucket, "AccessDenied", "PermissionDeniedExplicitly", "(Guard) of policy of arn:aws:s3", False),
    (a_boundary, "AccessDenied", "PermissionBounded", "permissions boundary", False),
    (a_trust_for_another_namespace, "AccessDenied", "TrustNamesAnotherNamespace", "elsewhere", True),
    (a_trust_with_a_placeholder, "AccessDenied", "TrustHasPlaceholder", "${YOUR_NAMESPACE}", True),
    (a_trust_for_another_action, "AccessDenied", "TrustNamesAnotherAction", "sts:AssumeRole;", True),
    (a_trust_for_another_audience, "AccessDenied", "TrustNamesAnotherAudience", "vault.example.org", True),
    (no_annotation, "NoRole", "RoleNotNamed", "no annotation and no association", False),
    (a_misspelt_annotation, "NoRole", "AnnotationMisspelt", "eks.amazonaws.com/rolearn", True),
    (an_annotation_that_is_no_arn, "NoRole", "RoleArnMalformed", "no role's ARN", True),
    (a_role_that_is_not_there, "AccessDenied", "RoleMissing", "no such role", True),
    (no_provider, "InvalidIdentityToken", "OIDCProviderMissing", "no such provider", True),
    (a_misspelt_bucket, "NoSuchBucket", "ResourceMissing", "there is denial-", False),
    (a_misspelt_secret, "ResourceNotFoundException", "ResourceMissing", "there is denial-", False),
    (a_key_that_knows_not_the_role, "AccessDeniedException", "PermissionMissing", "kms:Decrypt", True),
    (a_key_that_leaves_it_to_the_role, "AccessDenied", "PermissionMissing", "kms:GenerateDataKey", True),
    (a_key_that_denies, "AccessDeniedException", "PermissionDeniedExplicitly", "(Guard) of key policy", False),
]


@pytest.mark.parametrize(("denial", "refused", "reason", "words", "mends"), DENIALS)
async def test_a_denial_is_named_and_mended_where_that_is_proven(
    space: LocalSpace, host: Kube, denial: Denial, refused: str, reason: str, words: str, mends: bool
) -> None:
    scene = Scene(space, host, f"denial-{secrets.token_hex(3)}")
    try:
        await denial(scene)
        assert await scene.refusal() == refused

        said = scene.explained()

        assert (said["verdict"], said["code"]) == ("Denied", 1)
        (link,) = (one for one in said["links"] if one["state"] == "Broken")
        assert link["reason"] == reason, link
        assert words in said["text"]
        assert bool(link["fix"]) is mends, link
        assert link["fix"] or link["advice"]
        if mends:
            fixing.run(space, link["fix"])
            assert not await scene.refusal()
            assert scene.explained()["verdict"] == "Allowed"
    finally:
        acting.make_provider(space)
