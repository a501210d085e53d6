"""``keyless issuer publish`` from one end to the other: a cluster's documents into a bucket, and its tokens to STS."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from keyless.api import Permanent
from keyless.aws import AwsPermanent
from keyless.aws.errors import Said
from keyless.cli import dispatch, exits
from keyless.local.cloud import Cloud, CloudSettings
from keyless.local.cloud.sts.issuers import Unfetched
from keyless.tokens import SigningKey, jwks
from unit.local.cloud.support import ACCOUNT, SERVER, World, ask, document, pod_token, refusal, signing_key

URL, PLACE = "https://ids.example.org/prod", "s3://ids/prod"
HOST = "ids.example.org/prod"
SUBJECT = "system:serviceaccount:mxp-1-system:vector"
Publish = Callable[..., int]


class Published(World):
    """STS fetches issuers from the world, and the world at ``ids.example.org`` is the bucket ``ids``, for everybody."""

    region = "us-west-2"

    def _start(self, delay_seconds: float, **more: Any) -> Cloud:
        settings = CloudSettings(
            database=self.connection,
            kubernetes=self.kube,
            server_url=SERVER,
            ca_pem="",
            propagation_delay_seconds=delay_seconds,
            now=self.clock,
            **more,
        )
        return Cloud(settings, fetch=self._to_sts)

    async def _to_sts(self, url: str, _: tuple[str, ...] = ()) -> bytes:
        status, body = await self._read(url)
        if status != 200:
            raise Unfetched(f"{url} answered {status}")
        return body

    async def _read(self, url: str) -> tuple[int, bytes]:
        """An unsigned GET at S3's door."""
        assert url.startswith("https://ids.example.org/")
        status, _, body = await ask(self.cloud.app, "GET", f"/ids{urlsplit(url).path}")
        return status, body

    async def fetch(self, url: str) -> str:
        """The same for the command, whose event loop is another one."""
        status, body = self.loop.run(self._read(url))
        if status != 200:
            raise Permanent(f"{url} answers {status} to a caller without credentials, and AWS is one")
        return body.decode()

    async def call(self, service: str, operation: str, /, **params: Any) -> Any:
        """A session of the administrator."""
        try:
            return getattr(self.aws(service), xform_name(operation))(**params)
        except ClientError as error:
            told = error.response["Error"]
            raise AwsPermanent(Said(operation, told["Code"], told["Message"])) from None


class Cluster:
    """A second API server: it publishes these keys, and signs with the first one."""

    def __init__(self, *keys: SigningKey, issuer: str = URL) -> None:
        self.keys, self.issuer = keys, issuer

    async def request(self, method: str, path: str) -> Any:
        if path == "/openid/v1/jwks":
            return jwks(self.keys)
        return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/openid/v1/jwks"}

    async def token(self, *_: Any, **__: Any) -> Any:
        class Issued:
            token = pod_token(self.world, issuer=self.issuer, key=self.keys[0])

        return Issued()

    world: Any = None


@pytest.fixture
def world() -> Iterator[Published]:
    found = Published()
    found.aws("s3").create_bucket(Bucket="ids", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    yield found
    found.close()


@pytest.fixture
def publish(world: Published, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """``keyless issuer publish`` for a cluster; its exit code."""
    monkeypatch.setattr("keyless.aws.Session.from_environment", lambda *_, **__: world)
    monkeypatch.setattr("keyless.cli.issuer._fetch", world.fetch)
    monkeypatch.setattr("keyless.cli.issuer.use_local_space", lambda _: None)
    monkeypatch.setattr("keyless.cli.issuer.time.time", world.clock)

    def run(cluster: Cluster, *words: str) -> int:
        cluster.world = world

        @asynccontextmanager
        async def connect(_: object) -> AsyncIterator[Cluster]:
            yield cluster

        monkeypatch.setattr("keyless.kube.connect", connect)
        return dispatch(["issuer", "publish", PLACE, "--url", URL, *words])

    return run


def open_to_the_world(world: Published) -> None:
    """Everybody may read the two documents, and nothing else of the bucket."""
    arns = [f"arn:aws:s3:::ids/prod/{name}" for name in (".well-known/openid-configuration", "openid/v1/jwks")]
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": arns}
    s3 = world.aws("s3")
    closed = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls"), True)
    opened = dict.fromkeys(("BlockPublicPolicy", "RestrictPublicBuckets"), False)
    s3.put_public_access_block(Bucket="ids", PublicAccessBlockConfiguration={**closed, **opened})
    s3.put_bucket_policy(Bucket="ids", Policy=document(everybody))


def a_role(world: Published) -> str:
    """Provider and role for one subject of the second cluster."""
    iam = world.aws("iam")
    arn = iam.create_open_id_connect_provider(Url=URL, ClientIDList=["sts.amazonaws.com"])["OpenIDConnectProviderArn"]
    wanted = {f"{HOST}:sub": SUBJECT, f"{HOST}:aud": "sts.amazonaws.com"}
    trust = document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": arn},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": wanted},
        }
    )
    return str(iam.create_role(RoleName="onprem", AssumeRolePolicyDocument=trust)["Role"]["Arn"])


def asked(world: Published, key: SigningKey, **claims: Any) -> dict[str, Any]:
    """What a pod of the second cluster asks STS for."""
    token = pod_token(world, issuer=URL, key=key, **claims)
    role = f"arn:aws:iam::{ACCOUNT}:role/onprem"
    return {"RoleArn": role, "RoleSessionName": "pod", "WebIdentityToken": token}


def objects(world: Published) -> dict[str, bytes]:
    s3 = world.aws("s3")
    listed = s3.list_objects_v2(Bucket="ids").get("Contents", ())
    return {one["Key"]: s3.get_object(Bucket="ids", Key=one["Key"])["Body"].read() for one in listed}


def test_what_is_published_lets_the_clusters_tokens_in(world: Published, publish: Publish) -> None:
    a_role(world)
    sts, key = world.aws("sts", False), signing_key("a")
    assert publish(Cluster(key)) == exits.DID_NOT_HOLD, "nobody but the bucket's owner can read it yet"
    assert refusal(sts.assume_role_with_web_identity, **asked(world, key))[0] == "InvalidIdentityToken"
    open_to_the_world(world)
    world.clock.pass_seconds(2)
    assert publish(Cluster(key)) == exits.HELD
    answer = sts.assume_role_with_web_identity(**asked(world, key))
    assert answer["SubjectFromWebIdentityToken"] == SUBJECT
    assert answer["Provider"].endswith(f"oidc-provider/{HOST}")
    other = asked(world, key, sub="system:serviceaccount:default:other")
    assert refusal(sts.assume_role_with_web_identity, **other)[0] == "AccessDenied"
    status, _ = world.loop.run(world._read(f"{URL}/.keyless/issuer.json"))
    assert status == 403, "our own record is nobody's business"


def test_a_rotation_is_safe_when_published_before_it_signs_and_told_where_it_was_not(
    world: Published, publish: Publish
) -> None:
    a_role(world)
    open_to_the_world(world)
    old, new = signing_key("a"), signing_key("b")
    sts = world.aws("sts", False)
    assert publish(Cluster(old)) == exits.HELD
    assert sts.assume_role_with_web_identity(**asked(world, old))["Credentials"]
    world.clock.pass_seconds(86_400)
    # Signs before anybody could know it: told, and published all the same, since tokens of it are there already.
    assert publish(Cluster(new, old)) == exits.DID_NOT_HOLD
    assert publish(Cluster(new, old), "--dry-run") == exits.DID_NOT_HOLD
    world.clock.pass_seconds(86_400)
    assert publish(Cluster(new, old)) == exits.HELD
    for key in (old, new):
        assert sts.assume_role_with_web_identity(**asked(world, key))["Credentials"]
    # The cluster drops the old one: its tokens go on for their day, and no longer.
    assert publish(Cluster(new)) == exits.HELD
    world.clock.pass_seconds(3_700)
    assert sts.assume_role_with_web_identity(**asked(world, old))["Credentials"]
    world.clock.pass_seconds(86_400)
    assert publish(Cluster(new)) == exits.HELD
    world.clock.pass_seconds(3_700)
    assert refusal(sts.assume_role_with_web_identity, **asked(world, old))[0] == "InvalidIdentityToken"
    assert sts.assume_role_with_web_identity(**asked(world, new))["Credentials"]


def test_another_cluster_under_the_same_issuer_is_refused_and_changes_nothing(
    world: Published, publish: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    a_role(world)
    open_to_the_world(world)
    mine, theirs = signing_key("a"), signing_key("c")
    assert publish(Cluster(mine)) == exits.HELD
    before = objects(world)
    capsys.readouterr()
    assert publish(Cluster(theirs), "--output", "json") == exits.DID_NOT_HOLD
    told = json.loads(capsys.readouterr().out)
    assert "none of this cluster's" in told["refused"][0]["says"]
    assert told["written"] is False
    assert objects(world) == before
    sts = world.aws("sts", False)
    assert refusal(sts.assume_role_with_web_identity, **asked(world, theirs))[0] == "InvalidIdentityToken"
    assert sts.assume_role_with_web_identity(**asked(world, mine))["Credentials"]


def test_a_second_provider_that_differs_in_its_port_alone_is_refused_by_iam(world: Published) -> None:
    iam = world.aws("iam")
    first, second = ({"Url": f"https://127.0.0.1:{port}/clusters/keyless"} for port in (6443, 7443))
    iam.create_open_id_connect_provider(**first, ClientIDList=["sts.amazonaws.com"])
    answer = refusal(iam.create_open_id_connect_provider, **second, ClientIDList=["sts.amazonaws.com"])
    assert answer[0] == "EntityAlreadyExists"
