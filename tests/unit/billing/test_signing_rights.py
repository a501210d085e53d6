"""Who signs may sign: plan and operator grant it, the local KMS takes it, verify tells where it lacks."""

from __future__ import annotations

import asyncio
import json
import shlex
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent, Reason
from keyless.aws import AwsPermanent, Session, failure
from keyless.billing.access import signing_arn, signing_statements
from keyless.billing.export.keys import KmsKey
from keyless.billing.ledger.signed_heads import head_statement
from keyless.cli.granting import wishes_of
from keyless.cli.identity import Options
from keyless.cli.verifying import billing_access, export_access_of
from keyless.identity.grants import Asked, Mode, Way
from keyless.identity.verify import Cluster, ControlPlane, Space, State
from keyless.identity.verify.model import Role
from keyless.identity.verify.reached import signed_with
from keyless.policy import Named, parse
from keyless.space.values import Billing, Values
from unit.billing.test_signing import kms_session
from unit.identity.grants.fake_aws import FakeAws
from unit.identity.grants.test_grants import applied, planned
from unit.identity.verify.chains import irsa, named
from unit.local.cloud.support import ACCOUNT, World, a_role, allow
from unit.space.workload_identity.test_following import World as Following

CLUSTER = Cluster("prod", "https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF", ACCOUNT, "us-west-2")
OPTIONS = Options("", "irsa", "exact", "keyless", "team-", "", "", 2048)
VALUES = {
    "account": "acme",
    "billing.enabled": "true",
    "billing.export.schedule": "0 3 1-3 * *",
    "billing.storage.aws.bucket": "usage",
    "sharedSecrets.enabled": "true",
}
PLANE = ControlPlane("ctp1", "default", "mxp-1-system", {})
FORMS = ["id", "arn", "alias", "alias arn"]
SIGNING = "billing.signing.kmsKeyId"


def asked(key: str, **more: str) -> Asked:
    values = {**VALUES, SIGNING: key, **more}
    return Asked(CLUSTER, Way.IRSA, Mode.EXACT, tuple(wishes_of(OPTIONS, values, CLUSTER, ("mxp-1-system",))))


def about_keys(aws: FakeAws) -> dict[str, list[dict[str, Any]]]:
    """By role its statements on KMS, without their Sids."""
    found: dict[str, list[dict[str, Any]]] = {}
    for role, policies in aws.policies.items():
        listed = [one for policy in policies.values() for one in policy["Statement"]]
        keys = [one for one in listed if any(action.startswith("kms:") for action in one["Action"])]
        found[role] = [{name: value for name, value in one.items() if name != "Sid"} for one in keys]
    return found


@pytest.fixture
def cloud():
    world = World()
    yield world
    world.close()


def keys_of(world: World) -> SimpleNamespace:
    kms = world.aws("kms")
    made = [kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"] for _ in range(2)]
    kms.create_alias(AliasName="alias/billing", TargetKeyId=made[0]["KeyId"])
    place = made[0]["Arn"].rpartition(":")[0]
    spelt = [made[0]["KeyId"], made[0]["Arn"], "alias/billing", f"{place}:alias/billing"]
    return SimpleNamespace(kms=kms, other=made[1], named=dict(zip(FORMS, spelt, strict=True)))


@pytest.mark.parametrize("form", FORMS)
def test_what_is_planned_is_applied_and_signs_with_that_key_alone(cloud: World, form: str) -> None:
    keys, aws = keys_of(cloud), FakeAws()
    applied(asked(keys.named[form]), aws)
    granted = about_keys(aws)
    session = kms_session(cloud, a_role(cloud, *granted["keyless-billing"]))
    assert granted["keyless-billing-export"] == granted["keyless-billing"]

    statement = head_statement("0" * 64)
    signed = KmsKey(session, keys.named[form]).sign(statement)
    assert KmsKey(kms_session(cloud, None), keys.named["id"]).holds(signed)
    with pytest.raises(AwsPermanent, match="AccessDenied"):
        KmsKey(session, keys.other["Arn"]).sign(statement)
    with pytest.raises(AwsPermanent, match="AccessDenied"):
        session.call_blocking("kms", "GetPublicKey", KeyId=keys.named[form])
    assert granted["keyless-shared-secrets"] == []
    # Rotated as the guide says: only an alias can come to another key.
    keys.kms.update_alias(AliasName="alias/billing", TargetKeyId=keys.other["KeyId"])
    assert KmsKey(session, keys.named[form]).sign(statement).key == (
        keys.other["Arn"] if form.startswith("alias") else keys.named["arn"]
    )


def test_without_a_key_nothing_is_granted_and_with_another_the_first_is_taken_away() -> None:
    aws = FakeAws()
    plain = applied(asked(""), aws)
    assert all(found == [] for found in about_keys(aws).values())
    for key in ("1111", "2222", "alias/billing", ""):
        made = applied(asked(key), aws)
        assert {one.operation for one in made.steps} == {"PutRolePolicy"}
        assert planned(asked(key), aws).steps == (), "applied twice changes nothing"
        assert made.operator == plain.operator, "whoever applies needs no right on the key"
        found = about_keys(aws)
        assert [len(found[f"keyless-{name}"]) for name in ("billing", "billing-export")] == [bool(key)] * 2
        if key.isdigit():
            (one,) = found["keyless-billing"]
            assert one["Resource"] == f"arn:aws:kms:us-west-2:{ACCOUNT}:key/{key}"


def test_the_key_is_asked_in_the_region_of_the_bucket() -> None:
    aws = FakeAws()
    applied(asked("1111", **{"billing.storage.aws.region": "eu-west-1"}), aws)
    assert about_keys(aws)["keyless-billing"][0]["Resource"] == f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1111"


NO_KEYS = ["*", "key/*", "alias/*", "alias/${aws:username}", "arn:aws:kms:*:*:key/*", "arn:aws:s3:::usage", "a b", "é"]


@pytest.mark.parametrize("key", NO_KEYS)
def test_what_names_no_key_is_refused_before_anything_is_granted(key: str) -> None:
    with pytest.raises(Permanent, match=r"billing\.signing\.kmsKeyId: expected a KMS key by .*found .*: name the key"):
        asked(key)


@effort(200)
@given(st.text(alphabet="ak/:*?${}é \n\x00-0", max_size=12) | st.sampled_from(["alias/", "arn:aws:kms:", "key/"]))
def test_no_value_grants_more_than_one_key_or_one_alias(key: str) -> None:
    try:
        arn = signing_arn(key, ("aws", "us-west-2", ACCOUNT))
    except Permanent:
        return
    for statement in signing_statements(arn):
        named_by_alias = (statement.get("Condition") or {}).get("StringEquals", {}).get("kms:RequestAlias", "")
        name = named_by_alias or statement["Resource"]
        assert not set("*?$") & set(name)
        assert named_by_alias.startswith("alias/") or statement["Resource"].endswith(f":key/{key}")


async def test_the_operator_grants_it_too_and_says_where_the_value_names_no_key() -> None:
    world = Following()
    world.plane(1)
    billing = Billing(enabled=True, provider="aws", bucket="usage", secret="", signing_kms="alias/billing")
    world.values = Values(billing=billing)
    await world.settle()
    (one,) = about_keys(world.aws)["keyless-billing"]
    assert (one["Action"], one["Condition"]) == (
        ["kms:DescribeKey", "kms:Sign"],
        {"StringEquals": {"kms:RequestAlias": "alias/billing"}},
    )
    world.values = Values(billing=replace(billing, signing_kms="*"))
    await world.settle()
    reason, message = await world.ready()
    assert reason == Reason.GRANT_REFUSED
    assert "billing.signing.kmsKeyId: expected a KMS key" in message
    assert about_keys(world.aws)["keyless-billing"] == [one]


class Admin:
    """A session of the account's administrator, who verifies."""

    region = "us-west-2"

    def __init__(self, world: World) -> None:
        self._world = world

    def in_region(self, _: str) -> Admin:
        return self

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        client = self._world.aws(service)
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        try:
            return await asyncio.to_thread(getattr(client, name), **params)
        except client.exceptions.ClientError as error:
            raise failure(operation, error) from error


async def chain(world: World, key: str, *statements: dict[str, Any]) -> Any:
    space = Space({**VALUES, SIGNING: key}, (), frozenset())
    access = await billing_access(space, PLANE, CLUSTER)
    exported = await export_access_of(space, PLANE, CLUSTER)
    assert access is not None
    assert exported is not None
    assert access.signs == exported.signs
    facts, reached = irsa(), await signed_with(cast("Session", Admin(world)), access)
    written = {"Version": "2012-10-17", "Statement": [allow("s3:*"), *statements]}
    identity = (Named("inline policy billing", parse(written, "identity")),)
    assert isinstance(facts.role, Role)
    assert facts.access is not None
    role = replace(facts.role, identity=identity, inline={"billing": written})
    return replace(facts, reached=reached, role=role, access=replace(facts.access, signs=access.signs))


@pytest.mark.parametrize("form", ["id", "alias"])
async def test_verify_tells_that_the_right_to_sign_lacks_and_what_is_granted_mends_it(cloud: World, form: str) -> None:
    keys = keys_of(cloud)
    link = named(await chain(cloud, keys.named[form]), "key")
    assert (link.state, link.reason) == (State.BROKEN, Reason.PERMISSION_MISSING)
    assert f"on {keys.named['arn']}" in link.found
    assert all(action in link.fix for action in ("kms:DescribeKey", "kms:Sign", keys.named["arn"]))
    arn = signing_arn(keys.named[form], ("aws", "us-west-2", ACCOUNT))
    assert named(await chain(cloud, keys.named[form], *signing_statements(arn)), "key").state is State.HELD


async def test_a_role_that_is_made_may_sign_at_once(cloud: World) -> None:
    keys = keys_of(cloud)
    facts = await chain(cloud, keys.named["id"])
    made = named(replace(facts, role=None, roles={}), "role").fix
    assert made.startswith("aws iam create-role ")
    written = json.loads(shlex.split(made)[-1])
    (one,) = [each for each in written["Statement"] if "kms:Sign" in each["Action"]]
    assert (one["Action"], one["Resource"]) == (["kms:DescribeKey", "kms:Sign"], [keys.named["arn"]])
    assert named(await chain(cloud, keys.named["id"], *written["Statement"]), "key").state is State.HELD


async def test_verify_knows_keys_that_sign_otherwise_or_not_at_all(cloud: World) -> None:
    kms = cloud.aws("kms")
    hmac = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["Arn"]
    found = await chain(cloud, hmac, *signing_statements(hmac))
    assert "kms:GenerateMac" in named(found, "key").fix
    held = await chain(cloud, hmac, allow(["kms:DescribeKey", "kms:GenerateMac"], hmac))
    assert named(held, "key").state is State.HELD

    plain = kms.create_key()["KeyMetadata"]["Arn"]
    link = named(await chain(cloud, plain, *signing_statements(plain)), "key")
    assert link.state is State.UNKNOWN
    assert "was made for ENCRYPT_DECRYPT and signs nothing" in link.found
    gone = named(await chain(cloud, "alias/nothing"), "key")
    assert gone.state is State.UNKNOWN
    assert "alias/nothing" in gone.found

    keys = keys_of(cloud)
    kms.disable_key(KeyId=keys.named["id"])
    off = named(await chain(cloud, "alias/billing", allow("kms:*")), "key")
    assert (off.state, off.reason) == (State.BROKEN, Reason.KEY_NOT_ENABLED)
