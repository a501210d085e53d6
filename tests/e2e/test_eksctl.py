"""eksctl's commands against a running Space, each proven by a pod that reads and writes as the role it made."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import AsyncIterator, Iterator

import pytest

from e2e import acting, local_space, seeing
from e2e.eksctl import AGENT, ANNOTATION, MANAGED, Eksctl, Failed
from e2e.iam_caller import ClusterCaller, bearer
from e2e.local_space import Keys, LocalSpace
from keyless.kube import Kube, NotFound
from keyless.kube.resources import NAMESPACES, PODS, SERVICEACCOUNTS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
#: puts and gets an object with the SDK's own chain of credentials; prints who it was, or the code of the refusal
SCRIPT = """
import botocore.session, botocore.exceptions, sys
session = botocore.session.get_session()
s3, sts = session.create_client("s3"), session.create_client("sts")
who = sts.get_caller_identity()["Arn"]
try:
    s3.put_object(Bucket=sys.argv[1], Key="from-a-pod", Body=b"hello")
    assert s3.get_object(Bucket=sys.argv[1], Key="from-a-pod")["Body"].read() == b"hello"
    print("stored by", who, flush=True)
except botocore.exceptions.ClientError as error:
    print(error.response["Error"]["Code"], "as", who, flush=True)
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSpace]:
    """A Space that can run Python in pods."""
    folder = tmp_path_factory.mktemp("eksctl")
    images = folder / "images.json"
    images.write_text(json.dumps({"python": [sys.executable]}))
    started = local_space.start(folder / "state", "--propagation-delay", "0", "--image-map", str(images))
    yield started
    local_space.stop(folder / "state")


@pytest.fixture
async def host(space: LocalSpace) -> AsyncIterator[Kube]:
    async with space.host as kube:
        yield kube


@pytest.fixture
def bucket(space: LocalSpace) -> str:
    return acting.make_bucket(space, f"pods-{secrets.token_hex(4)}")


@pytest.fixture
def place() -> str:
    """A namespace that nobody has made yet."""
    return f"team-{secrets.token_hex(3)}"


async def said_by_a_pod(host: Kube, namespace: str, account: str, bucket: str) -> str:
    """Run a pod of the service account and return what it printed."""
    name = f"try-{secrets.token_hex(3)}"
    container = {"name": "try", "image": "python:3", "args": ["-c", SCRIPT, bucket]}
    spec = {"serviceAccountName": account, "restartPolicy": "Never", "containers": [container]}
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": name}}
    await host.create(PODS, {"metadata": metadata, "spec": spec}, namespace)
    done = await seeing.pod(
        host, name, namespace, lambda pod: pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    )
    log = await host.request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}/log")
    assert done["status"]["phase"] == "Succeeded", log
    return str(log).strip()


async def test_an_iam_service_account_from_nothing_to_a_pod_that_writes(
    space: LocalSpace, host: Kube, bucket: str, place: str
) -> None:
    eksctl = Eksctl(space)
    acting.drop_provider(space)
    with pytest.raises(Failed, match="without IAM OIDC provider enabled"):
        eksctl.create_iam_service_account(place, "writer", FULL)
    assert eksctl.associate_iam_oidc_provider().startswith("created")
    assert eksctl.associate_iam_oidc_provider().endswith("already associated with cluster")
    cluster = space.aws("eks").describe_cluster(name=space.name("CLUSTER_NAME"))["cluster"]
    assert cluster["tags"]["alpha.eksctl.io/cluster-oidc-enabled"] == "true"

    role = eksctl.create_iam_service_account(place, "writer", FULL)

    account = await host.get(SERVICEACCOUNTS, "writer", place)
    assert account["metadata"]["annotations"][ANNOTATION] == role
    assert account["metadata"]["labels"] == MANAGED
    name = role.rpartition("/")[2]
    assert f":assumed-role/{name}/" in await said_by_a_pod(host, place, "writer", bucket)
    assert eksctl.create_iam_service_account(place, "writer", FULL) == ""
    assert eksctl.get_iam_service_accounts() == {f"{place}/writer": role}

    eksctl.delete_iam_service_account(place, "writer")

    assert eksctl.get_iam_service_accounts() == {}
    with pytest.raises(NotFound):
        await host.get(SERVICEACCOUNTS, "writer", place)
    assert name not in {one["RoleName"] for one in space.aws("iam").list_roles()["Roles"]}


async def test_an_existing_service_account_is_left_alone_unless_told(
    space: LocalSpace, host: Kube, bucket: str, place: str
) -> None:
    eksctl = Eksctl(space)
    eksctl.associate_iam_oidc_provider()
    await host.create(NAMESPACES, {"metadata": {"name": place}})
    await host.create(SERVICEACCOUNTS, {"metadata": {"name": "mine", "annotations": {"own": "yes"}}}, place)
    assert eksctl.create_iam_service_account(place, "mine", READ) == ""

    role = eksctl.create_iam_service_account(place, "mine", READ, override=True)

    account = await host.get(SERVICEACCOUNTS, "mine", place)
    assert account["metadata"]["annotations"] == {"own": "yes", ANNOTATION: role}
    said = await said_by_a_pod(host, place, "mine", bucket)
    assert said.startswith("AccessDenied as ")
    assert f":assumed-role/{role.rpartition('/')[2]}/" in said
    eksctl.delete_iam_service_account(place, "mine")


async def test_a_role_alone_waits_for_its_service_account(
    space: LocalSpace, host: Kube, bucket: str, place: str
) -> None:
    eksctl = Eksctl(space)
    eksctl.associate_iam_oidc_provider()
    role = eksctl.create_iam_service_account(place, "later", FULL, role_only=True)
    with pytest.raises(NotFound):
        await host.get(NAMESPACES, place)
    await host.create(NAMESPACES, {"metadata": {"name": place}})
    await host.create(SERVICEACCOUNTS, {"metadata": {"name": "later", "annotations": {ANNOTATION: role}}}, place)
    assert f":assumed-role/{role.rpartition('/')[2]}/" in await said_by_a_pod(host, place, "later", bucket)
    eksctl.delete_iam_service_account(place, "later")
    assert await host.get(SERVICEACCOUNTS, "later", place), "eksctl did not make it"


async def test_a_pod_identity_association_from_the_addon_to_a_pod_that_writes(
    space: LocalSpace, host: Kube, bucket: str, place: str
) -> None:
    eksctl = Eksctl(space)
    await acting.delete_agent(space, host)
    with pytest.raises(Failed, match=f'the "{AGENT}" addon must be installed'):
        eksctl.create_pod_identity_association(place, "writer", FULL)
    addon = eksctl.create_addon(AGENT)
    assert addon["status"] == "ACTIVE"
    with pytest.raises(Failed, match="already exists"):
        eksctl.create_addon(AGENT)
    await seeing.pod(host, AGENT, "kube-system", seeing.is_ready)

    association = eksctl.create_pod_identity_association(place, "writer", FULL, create_account=True)

    (found,) = eksctl.get_pod_identity_associations(place)
    assert (found["associationId"], found["serviceAccount"]) == (association, "writer")
    account = await host.get(SERVICEACCOUNTS, "writer", place)
    assert ANNOTATION not in account["metadata"].get("annotations", {})
    said = await said_by_a_pod(host, place, "writer", bucket)
    assert said.startswith("stored by ")
    assert f":assumed-role/{found['roleArn'].rpartition('/')[2]}/eks-" in said

    eksctl.delete_pod_identity_association(place, "writer")

    assert eksctl.get_pod_identity_associations(place) == []
    assert found["roleArn"].rpartition("/")[2] not in {
        one["RoleName"] for one in space.aws("iam").list_roles()["Roles"]
    }


async def test_a_user_without_rights_on_iam_is_told_by_the_stack_and_nothing_stays(
    space: LocalSpace, place: str
) -> None:
    Eksctl(space).associate_iam_oidc_provider()
    iam, name = space.aws("iam"), f"dev-{place}"
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    statements = [{"Effect": "Allow", "Resource": "*", "Action": ["eks:*", "cloudformation:*", "iam:Get*"]}]
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    theirs = Eksctl(space, Keys(key["AccessKeyId"], key["SecretAccessKey"]))
    with pytest.raises(Failed, match="getting serviceaccount: 401 Unauthorized"):
        theirs.create_iam_service_account(place, "writer", FULL)
    space.aws("eks").create_access_entry(
        clusterName=space.name("CLUSTER_NAME"), principalArn=arn, kubernetesGroups=["nobody"]
    )
    with pytest.raises(Failed, match=r"getting serviceaccount: 403 .*User .*/dev-"):
        theirs.create_iam_service_account(place, "writer", FULL)
    space.aws("eks").associate_access_policy(
        clusterName=space.name("CLUSTER_NAME"),
        principalArn=arn,
        policyArn="arn:aws:eks::aws:cluster-access-policy/AmazonEKSAdminPolicy",
        accessScope={"type": "namespace", "namespaces": ["team-*"]},
    )
    async with space.host as host:
        await host.create(NAMESPACES, {"metadata": {"name": place}})
    with pytest.raises(Failed, match=r'unexpected status "ROLLBACK_COMPLETE" .* iam:CreateRole'):
        theirs.create_iam_service_account(place, "writer", FULL)


async def test_a_token_of_another_cluster_or_of_nobody_opens_nothing(space: LocalSpace) -> None:
    cluster = space.aws("eks").describe_cluster(name=space.name("CLUSTER_NAME"))["cluster"]
    with ClusterCaller(space, cluster) as kubernetes:
        assert kubernetes.send("GET", "/api/v1/namespaces/default/pods")[0] == 200
        for token in (bearer(space, cluster="other"), "k8s-aws-v1.", bearer(space) + "A"):
            kubernetes._session.headers["authorization"] = f"Bearer {token}"
            assert kubernetes.send("GET", "/api/v1/namespaces/default/pods")[0] == 401
