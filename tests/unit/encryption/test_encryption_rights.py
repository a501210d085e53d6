"""Who encrypts may do that and no more: plan grants it, the local KMS takes it, verify tells where it lacks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent, Reason
from keyless.api.sealed_by import KmsKey
from keyless.aws import Session
from keyless.cli.granting import wishes_of
from keyless.cli.identity import Options
from keyless.cli.verifying import ENCRYPTION, encryption_access
from keyless.encryption import plan
from keyless.encryption.access import VALUE, encryption_arn, encryption_statements
from keyless.encryption.plugin import Plugin
from keyless.identity.grants import Asked, Mode, Way
from keyless.identity.verify import Cluster, ControlPlane, Space, State
from keyless.identity.verify.model import Condition, Pod, Role, Workload
from keyless.identity.verify.plan import verify
from keyless.identity.verify.reached import crypted_with
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES
from keyless.policy import Named, parse
from unit.billing.test_signing_rights import Admin
from unit.encryption.stage import PLANE, CloudKms
from unit.identity.grants.fake_aws import FakeAws
from unit.identity.grants.test_grants import applied, planned
from unit.identity.verify.chains import irsa, named, with_values
from unit.local.cloud.support import ACCOUNT, World, a_role, allow

CLUSTER = Cluster("prod", "https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF", ACCOUNT, "us-west-2")
OPTIONS = Options("", "irsa", "exact", "keyless", "", "", "", 2048)
ALIAS = "alias/secrets"


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def key(world):
    made = world.aws("kms").create_key()["KeyMetadata"]
    world.aws("kms").create_alias(AliasName=ALIAS, TargetKeyId=made["KeyId"])
    return made


def asked(key: str, way: Way = Way.IRSA) -> Asked:
    wishes = tuple(wishes_of(OPTIONS, {VALUE: key}, CLUSTER, ("mxp-1-system", "mxp-2-system")))
    return Asked(CLUSTER, way, Mode.EXACT, wishes)


def granted(aws: FakeAws) -> list[dict[str, Any]]:
    return [one for policy in aws.policies["keyless-encryption"].values() for one in policy["Statement"]]


async def found(world: World, role: Any, key: KmsKey, folder) -> str:
    plugin = Plugin(key, CloudKms(world, role), folder, lambda: None)
    await plugin.look(5)
    return plugin.found.trouble


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("form", ["id", "arn", "alias"])
def test_what_is_planned_lets_the_plugin_encrypt_for_control_planes_with_that_key_alone(
    world, key, tmp_path, form: str, way: Way
) -> None:
    aws, name = FakeAws(), {"id": key["KeyId"], "arn": key["Arn"], "alias": ALIAS}[form]
    applied(asked(name, way), aws)
    assert planned(asked(name, way), aws).steps == (), "applied twice changes nothing"
    if way is Way.PODS:
        associated = {(one["namespace"], one["serviceAccount"]) for one in aws.associations.values()}
        assert associated == {("mxp-1-system", "control-plane"), ("mxp-2-system", "control-plane")}
    statements = [{each: value for each, value in one.items() if each != "Sid"} for one in granted(aws)]
    role = a_role(world, *statements)
    assert asyncio.run(found(world, role, KmsKey("of-x.2", name, PLANE), tmp_path)) == "ok"
    other = world.aws("kms").create_key()["KeyMetadata"]
    assert "AccessDenied" in asyncio.run(found(world, role, KmsKey("of-x.3", other["Arn"], PLANE), tmp_path))
    kms = world.aws("kms", role)
    for context in ({}, {"PARAMETER_ARN": "arn"}):
        sealed = world.aws("kms").encrypt(KeyId=key["Arn"], Plaintext=b"x", EncryptionContext=context)
        with pytest.raises(kms.exceptions.ClientError, match="AccessDenied"):
            kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=context)


def test_without_a_key_nothing_is_granted() -> None:
    assert wishes_of(OPTIONS, {}, CLUSTER, ("mxp-1-system",)) == []


@effort(200)
@given(st.text(alphabet="ak/:*?${}é \n\x00-0", max_size=12) | st.sampled_from(["alias/", "arn:aws:kms:", "key/"]))
def test_no_value_grants_more_than_one_key_or_one_alias(key: str) -> None:
    try:
        arn = encryption_arn(key, ("aws", "us-west-2", ACCOUNT))
    except Permanent:
        return
    for statement in encryption_statements(arn) if arn else ():
        aliases = (statement.get("Condition") or {}).get("ForAnyValue:StringEquals", {}).get("kms:ResourceAliases", "")
        name = aliases or statement["Resource"]
        assert not set("*?$") & set(name)


async def chain(world: World, key: str, *statements: dict[str, Any]) -> Any:
    kube = MemoryKube()
    kube.put(CONTROLPLANES, {"metadata": {"name": "ctp1", "namespace": "default"}, "status": {"controlPlaneID": PLANE}})
    space = Space({VALUE: key}, (), frozenset())
    access = await encryption_access(kube)(space, ControlPlane("ctp1", "default", "mxp-1-system", {}), CLUSTER)
    assert access is not None
    assert access.context == ((plan.CONTEXT_KEY, PLANE),)
    facts, reached = irsa(), await crypted_with(cast("Session", Admin(world)), access)
    written = {"Version": "2012-10-17", "Statement": list(statements) or [allow("s3:GetObject")]}
    identity = (Named("inline policy keyless-encryption", parse(written, "identity")),)
    assert isinstance(facts.role, Role)
    role = replace(facts.role, identity=identity, inline={"keyless-encryption": written})
    facts = with_values(replace(facts, reached=reached, role=role, access=access, bucket=None), values={VALUE: key})
    condition = Condition("True", "IdentityProven", "KMS encrypts as keyless-encryption", "2026-11-29T00:00:00Z")
    assert facts.control_plane is not None
    plane = replace(facts.control_plane, conditions={"EncryptionKeyUsable": condition})
    return replace(facts, subject=ENCRYPTION, control_plane=plane)


@pytest.mark.parametrize("form", ["arn", "alias"])
async def test_verify_tells_what_lacks_and_what_is_granted_mends_it(world, key, form: str) -> None:
    name = {"arn": key["Arn"], "alias": ALIAS}[form]
    link = named(await chain(world, name), "key")
    assert (link.state, link.reason) == (State.BROKEN, Reason.PERMISSION_MISSING)
    assert all(action in link.fix for action in ("kms:DescribeKey", "kms:Encrypt", "kms:Decrypt", key["Arn"]))
    arn = encryption_arn(name, ("aws", "us-west-2", ACCOUNT))
    facts = await chain(world, name, *encryption_statements(arn))
    assert named(facts, "key").state is State.HELD
    assert not any(each.name == "permission" for each in verify(facts)), "it asks for nothing but the key"


async def test_verify_knows_a_key_that_is_off_of_another_kind_or_not_there(world, key) -> None:
    world.aws("kms").disable_key(KeyId=key["KeyId"])
    off = named(await chain(world, key["Arn"], allow("kms:*")), "key")
    assert (off.state, off.reason) == (State.BROKEN, Reason.KEY_NOT_ENABLED)
    assert "aws kms enable-key" in off.fix
    signs = world.aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    assert "encrypts nothing" in named(await chain(world, signs, allow("kms:*")), "key").found
    assert named(await chain(world, "alias/nothing", allow("kms:*")), "key").state is State.UNKNOWN


async def test_a_policy_that_names_another_control_plane_does_not_fit(world, key) -> None:
    condition = {"StringEquals": {f"kms:EncryptionContext:{plan.CONTEXT_KEY}": "another"}}
    crypts = allow(["kms:Encrypt", "kms:Decrypt"], key["Arn"], Condition=condition)
    link = named(await chain(world, key["Arn"], allow("kms:DescribeKey"), crypts), "key")
    assert (link.state, link.reason) == (State.BROKEN, Reason.PERMISSION_MISSING)
    fits = {**crypts, "Condition": {"StringEquals": {f"kms:EncryptionContext:{plan.CONTEXT_KEY}": PLANE}}}
    assert named(await chain(world, key["Arn"], allow("kms:DescribeKey"), fits), "key").state is State.HELD


async def test_commands_speak_of_the_stateful_set_that_it_is_a_part_of(world, key) -> None:
    facts = await chain(world, key["Arn"], allow("kms:*"))
    assert facts.restart == f"kubectl rollout restart statefulset control-plane -n {facts.namespace}"
    without = replace(facts, workload=Workload({}, False, ()))
    assert "no such StatefulSet" in named(without, "workload").found
    old = Pod("control-plane-0", True, "", {}, "", "", "2026-11-28T00:00:00Z", "", False)
    assert facts.workload is not None
    link = named(replace(facts, workload=replace(facts.workload, pods=(old,))), "injection")
    assert (link.state, link.fix) == (State.BROKEN, facts.restart)
