"""Each misstep, what ``keyless verify`` says of it, and that the printed command, run as it stands, is enough."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from e2e import acting, fixing, seeing, sharing
from e2e.local_space import LocalSpace
from e2e.planes import Plane, make_plane
from keyless.kube import Kube
from keyless.kube.resources import DEPLOYMENTS, SERVICEACCOUNTS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

Misstep = Callable[[LocalSpace, Kube, Plane], Awaitable[None]]
BILLING, SECRETS = "billing", "shared-secrets"


async def billing(space: LocalSpace, host: Kube, plane: Plane, *, trust: Any = None, policy: Any = None) -> None:
    """The billing guide by IRSA, all of it."""
    acting.make_provider(space)
    trust = trust or acting.irsa_trust(space, plane.subject)
    acting.make_role(space, plane.role, trust, policy or acting.bucket_policy(plane.bucket))
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket, plane.role))
    await running(host, plane)


async def pods(space: LocalSpace, host: Kube, plane: Plane, *, trust: Any = None) -> None:
    """The billing guide by Pod Identity, all of it; the trust policy comes to be what it shall be afterwards."""
    acting.make_role(space, plane.role, acting.pods_trust(), acting.bucket_policy(plane.bucket))
    acting.associate(space, plane.namespace, "vector", plane.role)
    if trust:
        acting.trust(space, plane.role, trust)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
    await running(host, plane)


async def running(host: Kube, plane: Plane) -> None:
    """The collector's pod is there."""
    await seeing.rolled_out(host, "vector", plane.namespace)


async def no_provider(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    acting.drop_provider(space)


async def provider_without_its_port(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await no_provider(space, host, plane)
    url = f"https://{space.name('OIDC_PROVIDER')}"
    space.aws("iam").create_open_id_connect_provider(Url=url, ClientIDList=[acting.STS])


async def no_client_id(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    arn = acting.provider_arn(space)
    space.aws("iam").remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID=acting.STS)


async def another_namespace(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane, trust=acting.irsa_trust(space, acting.subject("upbound-system")))


async def another_account(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane, trust=acting.irsa_trust(space, acting.subject(plane.namespace, "default")))


async def another_audience(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane, trust=acting.irsa_trust(space, plane.subject, audience="vault.example.org"))


async def a_wildcard_that_is_none(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane, trust=acting.irsa_trust(space, acting.subject("mxp-*-system")))


async def a_placeholder(space: LocalSpace, host: Kube, plane: Plane) -> None:
    text = json.dumps(acting.irsa_trust(space, plane.subject))
    trust = json.loads(text.replace(f"{space.name('OIDC_PROVIDER')}:", "<OIDC_PROVIDER>:"))
    await billing(space, host, plane, trust=trust)


async def a_guarded_trust(space: LocalSpace, host: Kube, plane: Plane) -> None:
    trust = acting.irsa_trust(space, acting.subject("mxp-old-system"))
    trust["Statement"] += [other_principal(space), GUARD]
    await billing(space, host, plane, trust=trust)


def other_principal(space: LocalSpace) -> dict[str, Any]:
    root = f"arn:aws:iam::{space.name('AWS_ACCOUNT_ID')}:root"
    return {"Sid": "People", "Effect": "Allow", "Principal": {"AWS": root}, "Action": "sts:AssumeRole"}


GUARD = {
    "Sid": "Guard",
    "Effect": "Deny",
    "Principal": {"AWS": "*"},
    "Action": "sts:AssumeRole",
    "Condition": {"StringEquals": {"aws:PrincipalTag/team": "other"}},
}


async def a_trust_for_another_action(space: LocalSpace, host: Kube, plane: Plane) -> None:
    trust = acting.irsa_trust(space, plane.subject)
    trust["Statement"][0]["Action"] = "sts:AssumeRole"
    await billing(space, host, plane, trust=trust)


async def an_older_control_plane(space: LocalSpace, host: Kube, plane: Plane) -> None:
    older = await make_plane(space, host, f"older-{plane.own[-6:]}")
    await older.tenant.aclose()
    await billing(space, host, plane, trust=acting.irsa_trust(space, older.subject))


async def a_misspelt_association(space: LocalSpace, host: Kube, plane: Plane) -> None:
    acting.make_role(space, plane.role, acting.pods_trust(), acting.bucket_policy(plane.bucket))
    acting.associate(space, plane.namespace, "vectr", plane.role)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
    await running(host, plane)


async def a_role_by_its_name(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await no_annotation(space, host, plane)
    patch = {"metadata": {"annotations": {acting.ROLE_ANNOTATION: plane.role}}}
    await host.patch(SERVICEACCOUNTS, "vector", patch, plane.namespace)


async def a_pod_that_is_skipped(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    metadata = {"annotations": {"eks.amazonaws.com/skip-containers": "vector"}}
    await host.patch(DEPLOYMENTS, "vector", {"spec": {"template": {"metadata": metadata}}}, plane.namespace)
    await running(host, plane)


async def no_permission(space: LocalSpace, host: Kube, plane: Plane) -> None:
    reading = acting.bucket_policy(plane.bucket, "s3:GetObject", "s3:ListBucket")
    await billing(space, host, plane, policy=reading)
    name = "keyless-vector"
    space.aws("iam").put_role_policy(RoleName=plane.role, PolicyName=name, PolicyDocument=json.dumps(reading))


async def no_role(space: LocalSpace, host: Kube, plane: Plane) -> None:
    acting.make_provider(space)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket, plane.role))
    await running(host, plane)


async def a_misspelt_role(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    misspelt = plane.role[:-1]
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket, misspelt))
    await seeing.annotated(host, "vector", plane.namespace, acting.role_arn(space, misspelt))
    await acting.restart(host, "vector", plane.namespace)
    await running(host, plane)


async def no_annotation(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
    await acting.forget_history(host)
    await seeing.annotated(host, "vector", plane.namespace, None)


async def a_misspelt_annotation(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await no_annotation(space, host, plane)
    patch = {"metadata": {"annotations": {"eks.amazon.aws/role-arn": acting.role_arn(space, plane.role)}}}
    await host.patch(SERVICEACCOUNTS, "vector", patch, plane.namespace)


async def values_dropped_by_the_second_guide(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    await acting.helm_upgrade(host, {("sharedSecrets", "enabled"): True})


async def a_misspelt_bucket(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket[:-1], plane.role))


async def a_bucket_with_its_scheme(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    await acting.helm_upgrade(host, acting.billing_values(space, f"s3://{plane.bucket}", plane.role))


async def another_region(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    values = acting.billing_values(space, plane.bucket, plane.role)
    await acting.helm_upgrade(host, {**values, ("billing", "storage", "aws", "region"): "eu-central-1"})


async def static_keys(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    values = acting.billing_values(space, plane.bucket, plane.role)
    await acting.helm_upgrade(host, {**values, acting.STATIC_KEYS: "billing-storage"})


async def not_restarted(space: LocalSpace, host: Kube, plane: Plane) -> None:
    acting.make_provider(space)
    acting.make_role(space, plane.role, acting.irsa_trust(space, plane.subject), acting.bucket_policy(plane.bucket))
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
    await running(host, plane)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket, plane.role))
    await seeing.annotated(host, "vector", plane.namespace, acting.role_arn(space, plane.role))


async def keys_in_the_pod(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    keys = "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=x"
    fixing.run(space, f"kubectl set env deployment/vector -n {plane.namespace} {keys}")
    await running(host, plane)


async def association_elsewhere(space: LocalSpace, host: Kube, plane: Plane) -> None:
    acting.make_role(space, plane.role, acting.pods_trust(), acting.bucket_policy(plane.bucket))
    acting.associate(space, f"not-{plane.namespace}", "vector", plane.role)
    await acting.helm_upgrade(host, acting.billing_values(space, plane.bucket))
    await running(host, plane)


async def no_tag_session(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await pods(space, host, plane, trust=acting.pods_trust("sts:AssumeRole"))


async def tags_of_another_namespace(space: LocalSpace, host: Kube, plane: Plane) -> None:
    trust = acting.pods_trust()
    trust["Statement"][0]["Condition"] = {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "mxp-old-system"}}
    await pods(space, host, plane, trust=trust)


async def no_agent(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await pods(space, host, plane)
    await acting.delete_agent(space, host)


async def a_secret_out_of_reach(space: LocalSpace, host: Kube, plane: Plane) -> None:
    sharing.make_secret(space, plane, "out-of-reach")
    acting.make_role(space, plane.role, acting.pods_trust(), acting.secrets_policy(space, "another-prefix"))
    acting.associate(space, plane.namespace, sharing.CONTROLLER, plane.role)
    await acting.restart(host, "external-secrets", plane.namespace)
    await sharing.share(space, host, plane)
    await seeing.condition(host, plane.name, "SharedSecretsRead", "False")


async def a_key_behind_the_bucket(space: LocalSpace, host: Kube, plane: Plane) -> None:
    key = space.aws("kms").create_key()["KeyMetadata"]["Arn"]
    rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]
    space.aws("s3").put_bucket_encryption(Bucket=plane.bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    await billing(space, host, plane)
    await seeing.condition(host, plane.name, "BillingStored", "False", containing="kms:")


MISSTEPS: list[tuple[Misstep, str, str, str]] = [
    (no_provider, BILLING, "OIDC provider", "OIDCProviderMissing"),
    (provider_without_its_port, BILLING, "OIDC provider", "OIDCProviderDiffers"),
    (no_client_id, BILLING, "audience", "AudienceNotRegistered"),
    (another_namespace, BILLING, "trust", "TrustNamesAnotherNamespace"),
    (another_account, BILLING, "trust", "TrustNamesAnotherServiceAccount"),
    (another_audience, BILLING, "trust", "TrustNamesAnotherAudience"),
    (a_wildcard_that_is_none, BILLING, "trust", "TrustOperatorLiteral"),
    (a_placeholder, BILLING, "trust", "TrustHasPlaceholder"),
    (a_guarded_trust, BILLING, "trust", "TrustNamesAnotherNamespace"),
    (no_permission, BILLING, "permission", "PermissionMissing"),
    (a_key_behind_the_bucket, BILLING, "key", "PermissionMissing"),
    (no_role, BILLING, "role", "RoleMissing"),
    (a_misspelt_role, BILLING, "role", "RoleMissing"),
    (no_annotation, BILLING, "service account", "RoleNotNamed"),
    (a_misspelt_annotation, BILLING, "service account", "AnnotationMisspelt"),
    (values_dropped_by_the_second_guide, BILLING, "Helm values", "HelmValuesDropped"),
    (a_misspelt_bucket, BILLING, "storage", "BucketMissing"),
    (a_bucket_with_its_scheme, BILLING, "storage", "StorageNotNamed"),
    (another_region, BILLING, "storage", "BucketElsewhere"),
    (static_keys, BILLING, "no static keys", "StaticKeysSet"),
    (not_restarted, BILLING, "injection", "PodNotRestarted"),
    (keys_in_the_pod, BILLING, "injection", "StaticKeysInPod"),
    (association_elsewhere, BILLING, "service account", "AssociationElsewhere"),
    (no_tag_session, BILLING, "trust", "TagSessionNotTrusted"),
    (tags_of_another_namespace, BILLING, "trust", "TrustDenies"),
    (a_trust_for_another_action, BILLING, "trust", "TrustNamesAnotherAction"),
    (an_older_control_plane, BILLING, "trust", "ControlPlaneNotTrusted"),
    (a_misspelt_association, BILLING, "service account", "AssociationElsewhere"),
    (a_role_by_its_name, BILLING, "service account", "RoleArnMalformed"),
    (a_pod_that_is_skipped, BILLING, "injection", "IdentityNotInjected"),
    (no_agent, BILLING, "agent", "AgentMissing"),
    (a_secret_out_of_reach, SECRETS, "permission", "PermissionMissing"),
]


@pytest.mark.parametrize(("misstep", "component", "link", "reason"), MISSTEPS)
async def test_the_printed_command_is_enough(
    space: LocalSpace, host: Kube, first_plane: Plane, misstep: Misstep, component: str, link: str, reason: str
) -> None:
    plane, command = first_plane, ""
    try:
        await misstep(space, host, plane)
        told = fixing.first_broken(space, component, plane.name)
        assert (told.link, told.reason) == (link, reason), told
        before = _trust(space, plane)

        command = told.fix
        fixing.run(space, command)

        await fixing.holds(space, component, plane.name)
        assert [one for one in before if one.get("Sid") in ("People", "Guard")] == [
            one for one in _trust(space, plane) if one.get("Sid") in ("People", "Guard")
        ]
    finally:
        if misstep is no_agent:
            with contextlib.suppress(ClientError):  # it is there where the printed command did its work
                await acting.create_agent(space, host)
        if "helm upgrade" in command:
            # Helm keeps the reused values as the chart's own in its record, where the next test's upgrade starts.
            fixing.run(space, "helm upgrade spaces spaces-helm-chart --reset-values")


async def a_deny_of_the_role(space: LocalSpace, host: Kube, plane: Plane) -> None:
    deny = {"Sid": "Guard", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    allowed = acting.bucket_policy(plane.bucket)
    await billing(space, host, plane, policy={**allowed, "Statement": [*allowed["Statement"], deny]})


async def a_deny_of_the_bucket(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    resource = f"arn:aws:s3:::{plane.bucket}/*"
    deny = {"Sid": "Guard", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": resource}
    document = json.dumps({"Version": acting.VERSION, "Statement": [deny]})
    space.aws("s3").put_bucket_policy(Bucket=plane.bucket, Policy=document)


async def a_deny_of_the_trust(space: LocalSpace, host: Kube, plane: Plane) -> None:
    trust = acting.irsa_trust(space, plane.subject)
    deny = {**trust["Statement"][0], "Sid": "Guard", "Effect": "Deny"}
    await billing(space, host, plane, trust={**trust, "Statement": [*trust["Statement"], deny]})


async def a_boundary(space: LocalSpace, host: Kube, plane: Plane) -> None:
    await billing(space, host, plane)
    iam = space.aws("iam")
    document = json.dumps(acting.bucket_policy(plane.bucket, "s3:GetObject"))
    made = iam.create_policy(PolicyName=plane.own, PolicyDocument=document)["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=plane.role, PermissionsBoundary=made)


async def a_secret_that_is_not_there(space: LocalSpace, host: Kube, plane: Plane) -> None:
    near = f"{plane.own}/databases"
    space.aws("secretsmanager").create_secret(Name=near, SecretString="{}")
    acting.make_role(space, plane.role, acting.pods_trust(), acting.secrets_policy(space, plane.own))
    acting.associate(space, plane.namespace, sharing.CONTROLLER, plane.role)
    await acting.restart(host, "external-secrets", plane.namespace)
    await sharing.share(space, host, plane)
    await seeing.condition(host, plane.name, "SharedSecretsRead", "False")


GUARDED: list[tuple[Misstep, str, str, str, str]] = [
    (a_deny_of_the_role, BILLING, "permission", "PermissionDeniedExplicitly", "(Guard) of inline policy e2e"),
    (a_deny_of_the_bucket, BILLING, "permission", "PermissionDeniedExplicitly", "(Guard) of policy of bucket"),
    (a_deny_of_the_trust, BILLING, "trust", "TrustDeniesExplicitly", "(Guard) of trust policy"),
    (a_boundary, BILLING, "permission", "PermissionBounded", "boundary"),
    (a_secret_that_is_not_there, SECRETS, "sources", "ResourceMissing", "/databases"),
]


@pytest.mark.parametrize(("misstep", "component", "link", "reason", "words"), GUARDED)
async def test_what_somebody_guards_or_nobody_made_is_named_and_no_command_pretends_to_mend_it(
    space: LocalSpace,
    host: Kube,
    first_plane: Plane,
    misstep: Misstep,
    component: str,
    link: str,
    reason: str,
    words: str,
) -> None:
    await misstep(space, host, first_plane)
    told = fixing.first_broken(space, component, first_plane.name)
    assert (told.link, told.reason, told.fix) == (link, reason, ""), told
    assert words in f"{told.found} {told.advice}", told
    assert told.advice


def _trust(space: LocalSpace, plane: Plane) -> list[dict[str, Any]]:
    iam = space.aws("iam")
    try:
        found = iam.get_role(RoleName=plane.role)["Role"]["AssumeRolePolicyDocument"]
    except iam.exceptions.NoSuchEntityException:
        return []
    statements: list[dict[str, Any]] = found["Statement"]
    return statements
