"""What ``keyless identity`` asks for and takes away, by the values of the Space."""

from __future__ import annotations

import asyncio
import json

import pytest

from keyless.billing.access import EXPORT
from keyless.cli.granting import Request, every_wish, of_their_own, standing, under_a_kms_key, wishes_of
from keyless.cli.handing_over import handed_over
from keyless.cli.identity import Options
from keyless.identity.grants import Asked, Mode, Way, gather, undo
from keyless.identity.verify import Cluster, Space
from keyless.identity.verify.kube_facts import control_plane_of
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES
from unit.identity.grants.fake_aws import FakeAws
from unit.identity.grants.test_grants import applied, host_namespace, planned

ENCRYPTED = "controlPlanes.kubernetes.encryption.kmsKeyId"
PUT, GET = "s3:PutObject", "s3:GetObject"

CLUSTER = Cluster("prod", "https://oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF", "111122223333", "eu-west-1")
ON = {"billing.enabled": "true", "billing.storage.aws.bucket": "usage", "sharedSecrets.enabled": "true"}
ON |= {"billing.export.schedule": "0 3 1-3 * *", "account": "acme"}


def test_destroy_looks_for_the_role_of_every_feature_with_whatever_is_on_and_no_prefix() -> None:
    options = Options("", "irsa", "exact", "keyless", "team-", "", "", 2048)
    granted = wishes_of(options, {**ON, ENCRYPTED: "1111"}, CLUSTER, ("mxp-1-system",))
    bare = Options("", "irsa", "exact", "keyless", "", "", "", 2048)

    assert len(granted) == 4
    assert {(one.role, one.service_account, one.policy) for one in every_wish(bare)} == {
        (one.role, one.service_account, one.policy) for one in granted
    }


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("way", list(Way))
def test_the_scheduled_export_is_a_component_of_its_own_that_the_spaces_namespace_alone_may_be(way, mode) -> None:
    options = Options("", way, mode, "keyless", "", "", "", 2048)
    aws = FakeAws()
    wanted = Asked(CLUSTER, way, mode, tuple(wishes_of(options, ON, CLUSTER, (host_namespace(1),))))
    made = applied(wanted, aws)
    assert planned(wanted, aws).steps == (), "applied twice changes nothing"
    assert made.places[f"system:serviceaccount:default:{EXPORT}"] == "keyless-billing-export"
    (policy,) = (s for s in made.steps if s.params.get("PolicyName") == "keyless-billing-export")
    put, get = ([one for one in policy.written["Statement"] if one["Action"] == [what]] for what in (PUT, GET))
    assert [one["Resource"] for one in put] == [["arn:aws:s3:::usage/report/account=acme/*"]]
    assert all("report/" not in arn for one in get for arn in one["Resource"])
    if way is Way.IRSA:
        (role,) = (s for s in made.steps if s.operation == "CreateRole" and s.params["RoleName"].endswith("-export"))
        assert "mxp-" not in json.dumps(role.written), "no wider mode widens it"
    gone = undo(Asked(CLUSTER, way, mode, tuple(every_wish(options))), asyncio.run(gather(wanted, aws)))
    assert [s.params["RoleName"] for s in gone.steps if s.operation == "DeleteRole"] == [
        "keyless-billing", "keyless-billing-export"
    ]  # fmt: skip


def test_nothing_is_restarted_for_it_since_each_of_its_runs_is_a_new_pod() -> None:
    options = Options("", "irsa", "exact", "keyless", "", "", "", 2048)
    values = {name: value for name, value in ON.items() if name != "billing.enabled"} | {"sharedSecrets.enabled": ""}
    wanted = Asked(CLUSTER, Way.IRSA, Mode.EXACT, tuple(wishes_of(options, values, CLUSTER, ())))
    (command,) = handed_over(wanted, planned(wanted, FakeAws()), Space(values, (), frozenset()), {})
    assert command.startswith("helm upgrade spaces spaces-helm-chart --reuse-values")
    assert "billing.export.serviceAccount.customAnnotations" in command


@pytest.mark.parametrize("way", list(Way))
def test_what_encrypts_is_named_by_its_own_value_and_its_stateful_set_is_restarted(way) -> None:
    options = Options("", way, "exact", "keyless", "", "", "", 2048)
    values = {ENCRYPTED: "1111"}
    wanted = Asked(CLUSTER, way, Mode.EXACT, tuple(wishes_of(options, values, CLUSTER, (host_namespace(1),))))
    made = applied(wanted, FakeAws())
    then = handed_over(wanted, made, Space(values, (), frozenset({host_namespace(1)})), {})
    named = r"controlPlanes.kubernetes.serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn"
    assert any(named in line for line in then) is (way is Way.IRSA)
    assert "kubectl rollout restart statefulset control-plane" in then[-1]


def taken(way: Way, aws: FakeAws, *encrypted: str) -> tuple[str, ...]:
    """What is said before the Space's roles are taken away."""
    options = Options("", way, "exact", "keyless", "", "", "", 2048)
    asked = Asked(CLUSTER, way, Mode.EXACT, tuple(every_wish(options)))
    request = Request(asked, Space({}, (), frozenset()), {}, encrypted)
    return standing(request, asyncio.run(gather(asked, aws)))


@pytest.mark.parametrize("way", list(Way))
def test_whoever_takes_the_role_of_a_kms_key_is_told_which_control_planes_stand_on_it(way) -> None:
    options = Options("", way, "exact", "keyless", "", "", "", 2048)
    values = {**ON, ENCRYPTED: "1111"}
    aws, wishes = FakeAws(), tuple(wishes_of(options, values, CLUSTER, (host_namespace(1),)))
    applied(Asked(CLUSTER, way, Mode.EXACT, wishes), aws)
    (said,) = taken(way, aws, "default/a", "default/b", "shop/c", "shop/d")
    assert "4 control planes (default/a, default/b, shop/c and 1 more)" in said
    assert "keyless-encryption" in said
    assert f"`helm upgrade spaces spaces-helm-chart --reuse-values --set {ENCRYPTED}=`" in said
    assert taken(way, aws) == (), "nothing is encrypted by it"


def test_where_there_is_no_such_role_of_ours_nothing_is_said_of_it() -> None:
    options = Options("", "irsa", "exact", "keyless", "", "", "", 2048)
    aws = FakeAws()
    applied(Asked(CLUSTER, Way.IRSA, Mode.EXACT, tuple(wishes_of(options, ON, CLUSTER, (host_namespace(1),)))), aws)
    assert taken(Way.IRSA, aws, "default/a") == ()


def test_what_a_kms_key_still_opens_is_told_by_the_plugins_condition_whatever_it_says() -> None:
    kube = MemoryKube()
    for name, conditions in {
        "on": [{"type": "EncryptionKeyUsable", "status": "True"}],
        "refused": [{"type": "EncryptionKeyUsable", "status": "False"}],
        "off": [{"type": "Ready", "status": "True"}],
        "new": None,
    }.items():
        status = {"status": {"conditions": conditions}} if conditions else {}
        kube.put(CONTROLPLANES, {"metadata": {"name": name, "namespace": "default"}, **status})
    assert asyncio.run(under_a_kms_key(kube)) == ("default/on", "default/refused")


@pytest.mark.parametrize(
    ("mode", "has_one"), [("kubernetes", True), ("", True), ("logical", False), ("attached", False)]
)
def test_only_a_control_plane_of_its_own_is_granted_the_key_that_encrypts(mode: str, has_one: bool) -> None:
    status = {"hostNamespace": host_namespace(1), "api": {"mode": mode}}
    plane = control_plane_of({"metadata": {"name": "ctp1", "namespace": "default"}, "status": status})
    assert plane is not None
    options = Options("", "irsa", "exact", "keyless", "", "", "", 2048)
    namespaces = (host_namespace(1),)
    (wish,) = wishes_of(options, {ENCRYPTED: "1111"}, CLUSTER, namespaces, of_their_own([plane]))
    assert wish.namespaces == (namespaces if has_one else ())
