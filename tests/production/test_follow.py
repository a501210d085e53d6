"""Trust that follows, on a real Kubernetes: control planes come and go, and nobody touches IAM, whatever befalls."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.usage import Stored
from production.attached import PORTS, Brought
from production.beside import Beside
from production.binaries import built
from production.followed import ACCOUNT, BUCKET, COMPONENTS, IRSA, NEWCOMER, OPERATOR, PODS, Followed, role_of
from production.node import OneNode

pytestmark = [pytest.mark.production, pytest.mark.timeout(900)]
MINE = f":assumed-role/{OPERATOR}/"
Managing = Callable[[str], Followed]


@pytest.fixture(scope="module")
def followed(
    space: OneNode,
    cloud: Beside,
    host_namespace: str,
    other_namespace: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Followed]:
    """Two control planes that run, a third API to attach, and an operator that may write IAM."""
    assert host_namespace != other_namespace
    api = Brought(tmp_path_factory.mktemp("m"), built(), space, port=PORTS[2])
    found = Followed(space, cloud, api, tmp_path_factory.mktemp("f"))
    try:
        api.up()
        found.up()
        yield found
        found.down()
    finally:
        api.down()


@pytest.fixture
def managing(followed: Followed) -> Iterator[Managing]:
    """Lets the Space manage both components in a way, until the test ends."""
    ways: list[str] = []

    def manage(way: str) -> Followed:
        ways.append(way)
        followed.manage(way)
        return followed

    yield manage
    for way in ways:
        followed.let_go(way)


@pytest.mark.parametrize("way", [IRSA, PODS])
def test_a_third_control_plane_works_with_nobody_touching_iam_and_leaves_nothing(managing: Managing, way: str) -> None:
    space = managing(way)
    before = {component: space.admitted(way, component) for component in COMPONENTS}
    namespace = space.appear()
    space.works(way)
    for component in COMPONENTS:
        space.is_effective(component)
        space.is_admitted(way, component, [*before[component], namespace])
    space.api.kubectl("apply", "-f", "-", given=json.dumps(vpc("late")))
    space.space.kubectl("delete", "controlplane", NEWCOMER, "-n", "default", "--timeout=240s")
    for component in COMPONENTS:
        space.is_admitted(way, component, before[component])
        assert NEWCOMER not in space.rows(component)
    only_the_operator_wrote(space, way)
    usage_went_first(space, way, namespace)


def vpc(name: str) -> dict[str, Any]:
    return {"apiVersion": "ec2.aws.upbound.io/v1beta1", "kind": "VPC", "metadata": {"name": name}, "spec": {}}


def only_the_operator_wrote(space: Followed, way: str) -> None:
    """Roles, trust and associations of the way were written by the operator alone."""
    writes = ("iam:Create", "iam:Update", "iam:Put", "iam:Delete", "eks:CreatePod", "eks:DeletePod")
    made = [one for one in space.calls() if one["action"].startswith(writes) and one["code"] == "Success"]
    mine = [one for one in made if f"role/followed-{way}-" in json.dumps(one["resources"])]
    assert mine
    assert {MINE in one["caller"].get("arn", "") for one in mine} == {True}, mine


def usage_went_first(space: Followed, way: str, namespace: str) -> None:
    """The collector's last objects were stored before its identity went, and nothing is missing in between."""
    folder = space.folder / f"manifest-{way}"
    space.cloud.aws("s3", "sync", f"s3://{BUCKET}/manifest", str(folder), "--quiet")
    bodies = [one.read_bytes() for one in folder.rglob("*") if one.is_file() and f"/{namespace}-" in str(one)]
    bodies.sort(key=lambda body: json.loads(body)["sequence"])
    stored = Stored([json.loads(one) for one in bodies], [hashlib.sha256(one).hexdigest() for one in bodies], [])
    stored.check_nothing_is_missing()
    taken = ("iam:UpdateAssumeRolePolicy",) if way == IRSA else ("eks:DeletePodIdentityAssociation",)
    actions = [(one["action"], json.dumps(one["resources"])) for one in space.calls() if one["code"] == "Success"]
    stores = [at for at, (action, what) in enumerate(actions) if action == "s3:PutObject" and namespace in what]
    takes = [at for at, (action, _) in enumerate(actions) if action in taken]
    assert stores
    assert stores[-1] < takes[-1]


def test_two_operators_and_their_deaths_end_where_one_does(managing: Managing) -> None:
    space = managing(IRSA)
    before = {component: space.admitted(IRSA, component) for component in COMPONENTS}
    space.operators(2)
    try:
        space.api.attach(NEWCOMER)
        for _ in range(4):
            # Whoever leads goes, wherever it is; what was half made is gone on with by the next one.
            space.kill_operators()
            space.operators(2)
        space.space.kubectl("wait", f"controlplane/{NEWCOMER}", "-n", "default", "--for=condition=Ready",
                            "--timeout=120s")  # fmt: skip
        space.works(IRSA)
    finally:
        space.operators(1)
    namespace = str(space.plane()["status"]["hostNamespace"])
    for component in COMPONENTS:
        space.is_effective(component)
        space.is_admitted(IRSA, component, [*before[component], namespace])


def test_a_persons_edit_is_reported_and_left_until_it_is_undone(managing: Managing) -> None:
    space = managing(IRSA)
    role = role_of(IRSA, "billing")
    right = space.trust(role)
    sid = space.statement(role)["Sid"]
    wrong = {**right, "Statement": [edited(one) if one.get("Sid") == sid else one for one in right["Statement"]]}
    space.in_the_console(role, wrong)
    space.appear()
    space.space.parts.wait("the edit to be told", lambda: space.ready("billing")[0] == "GrantRefused", 120.0)
    assert "changed by somebody" in space.ready("billing")[1]
    assert space.trust(role) == wrong
    # The other component is not held up by it.
    space.is_effective("shared-secrets")
    space.in_the_console(role, right)
    space.works(IRSA)


def edited(statement: Any) -> Any:
    """A statement that somebody made wider."""
    return {**statement, "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"]}


def test_a_role_that_was_deleted_is_made_again_and_the_components_go_on(managing: Managing) -> None:
    space = managing(IRSA)
    aws, role = space.cloud.aws, role_of(IRSA, "billing")
    before = space.trust(role)
    for name in aws("iam", "list-role-policies", "--role-name", role)["PolicyNames"]:
        aws("iam", "delete-role-policy", "--role-name", role, "--policy-name", name)
    aws("iam", "delete-role", "--role-name", role)
    # Looked at every ten minutes, and by an operator that starts.
    space.restart_operator()
    space.space.parts.wait("the role to be there", lambda: has_role(space, role), 90.0)
    assert space.trust(role) == before
    space.appear()
    space.works(IRSA)


def has_role(space: Followed, name: str) -> bool:
    return name in [one["RoleName"] for one in space.cloud.aws("iam", "list-roles")["Roles"]]


def test_while_iam_is_throttled_it_is_told_and_afterwards_it_goes_on_by_itself(managing: Managing) -> None:
    space = managing(IRSA)
    space.in_the_cloud("faults", "set", "throttle", "--service", "iam")
    try:
        space.api.attach(NEWCOMER)
        space.space.parts.wait("throttling to be told", lambda: space.ready("billing")[0] == "Throttled", 150.0)
        assert set(space.rows("billing").values()) == {"Effective", "Throttled"}
    finally:
        space.in_the_cloud("faults", "clear")
    space.works(IRSA)
    assert ACCOUNT in space.space.object("workloadidentity", "billing")["status"]["nextRole"]
