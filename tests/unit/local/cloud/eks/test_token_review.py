"""Bearer tokens of ``aws eks get-token``: what is in them, what is refused, who they are."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from keyless.local.cloud.eks.bearer import Unfit, read_untrusted
from unit.local.cloud.support import ACCOUNT, START, World, ask, document

OURS = "http://127.0.0.1:4566/"
AWS = "https://sts.us-west-2.amazonaws.com/"
ADMIN = f"arn:aws:iam::{ACCOUNT}:user/keyless-admin"


def presigned(world: World, keys: Any = None, *, place: str = OURS, cluster: str = "keyless", **changes: Any) -> str:
    """The URL that clients sign; ``changes`` are arguments and ``expires``."""
    admin = world.cloud.admin_credentials()
    credentials = Credentials(admin.access_key_id, admin.secret_access_key)
    if keys:
        credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys.get("SessionToken"))
    expires = changes.pop("expires", 60)
    arguments = {"Action": "GetCallerIdentity", "Version": "2011-06-15", **changes}
    headers = {"x-k8s-aws-id": cluster} if cluster else {}
    request = AWSRequest("GET", f"{place}?{urlencode(arguments)}", headers=headers)
    SigV4QueryAuth(credentials, "sts", "us-west-2", expires=expires).add_auth(request)
    url: str = request.url
    return url


def token_of(url: str) -> str:
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def review(world: World, token: str) -> dict[str, Any]:
    """What the authenticator tells an API server."""
    body = orjson.dumps({"kind": "TokenReview", "spec": {"token": token}})
    status, _, answer = world.loop.run(ask(world.cloud.token_review_app, "POST", "/authenticate", body=body))
    assert status == 200
    found: dict[str, Any] = orjson.loads(answer)["status"]
    return found


def a_session(world: World, *, name: str = "jane@example.com") -> Any:
    """A session of role ``team``, which has an entry."""
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    role = world.aws("iam").create_role(RoleName="team", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    world.aws("eks").create_access_entry(
        clusterName="keyless", principalArn=role, kubernetesGroups=["readers"], username="team:{{SessionName}}"
    )
    return world.aws("sts").assume_role(RoleArn=role, RoleSessionName=name)["Credentials"]


@pytest.mark.parametrize("place", [OURS, AWS, "https://sts.amazonaws.com/", "http://localhost:4566/"])
def test_the_creator_of_the_cluster_is_known_by_the_arn(world: World, place: str) -> None:
    status = review(world, token_of(presigned(world, place=place)))
    assert status["authenticated"] is True
    user = status["user"]
    assert user["username"] == ADMIN
    assert user["uid"].startswith(f"aws-iam-authenticator:{ACCOUNT}:AIDA")
    assert user["extra"]["canonicalArn"] == [ADMIN]
    assert user["groups"][0].startswith("eks:access-entry:")


def test_a_session_is_named_by_the_template_of_its_role_s_entry(world: World) -> None:
    user = review(world, token_of(presigned(world, a_session(world))))["user"]
    assert user["username"] == "team:jane-example.com"
    assert user["groups"][0] == "readers"
    assert user["extra"]["sessionName"] == ["jane@example.com"]
    assert user["extra"]["arn"] == [f"arn:aws:sts::{ACCOUNT}:assumed-role/team/jane@example.com"]


def test_a_token_lives_a_quarter_of_an_hour_whatever_it_says_itself(world: World) -> None:
    token = token_of(presigned(world, expires=60))
    world.clock.pass_seconds(900)
    assert review(world, token)["authenticated"] is True
    world.clock.pass_seconds(1)
    status = review(world, token)
    assert status["authenticated"] is False
    assert status["error"].startswith("X-Amz-Date parameter is expired (15 minute expiration)")


def test_the_presigned_request_itself_holds_as_long_at_sts(world: World) -> None:
    url = urlsplit(presigned(world, cluster=""))
    world.clock.pass_seconds(899)
    status, _, answer = world.loop.run(ask(world.cloud.app, "GET", "/", query=url.query))
    assert (status, ADMIN.encode() in answer) == (200, True)
    world.clock.pass_seconds(2)
    assert world.loop.run(ask(world.cloud.app, "GET", "/", query=url.query))[0] == 403


def test_a_principal_without_an_entry_is_nobody(world: World) -> None:
    iam = world.aws("iam")
    iam.create_user(UserName="dev")
    key = iam.create_access_key(UserName="dev")["AccessKey"]
    status = review(world, token_of(presigned(world, key)))
    assert status == {
        "authenticated": False,
        "error": f"arn:aws:iam::{ACCOUNT}:user/dev has no access entry in cluster keyless",
    }


def test_a_role_made_again_under_its_name_needs_an_entry_of_its_own(world: World) -> None:
    a_session(world)
    iam = world.aws("iam")
    iam.delete_role(RoleName="team")
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="team", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    again = world.aws("sts").assume_role(RoleArn=role, RoleSessionName="jane")["Credentials"]
    assert "has no access entry" in review(world, token_of(presigned(world, again)))["error"]


def test_a_deleted_entry_counts_at_the_next_request(world: World) -> None:
    token = token_of(presigned(world))
    world.aws("eks").delete_access_entry(clusterName="keyless", principalArn=ADMIN)
    assert review(world, token)["authenticated"] is False


def test_a_token_for_another_cluster_is_not_for_this_one(world: World) -> None:
    status = review(world, token_of(presigned(world, cluster="other")))
    assert (status["authenticated"], "signature" in status["error"]) == (False, True)


def test_a_session_that_ended_proves_nobody(world: World) -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    role = world.aws("iam").create_role(RoleName="team", AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    world.aws("eks").create_access_entry(clusterName="keyless", principalArn=role)
    keys = world.aws("sts").assume_role(RoleArn=role, RoleSessionName="jane", DurationSeconds=900)["Credentials"]
    world.clock.pass_seconds(890)
    token = token_of(presigned(world, keys))
    assert review(world, token)["authenticated"] is True
    world.clock.pass_seconds(20)
    assert "expired" in review(world, token)["error"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Action": "AssumeRole"}, "unexpected action parameter in pre-signed URL"),
        ({"Extra": "1"}, 'non-whitelisted query parameter "extra"'),
        ({"cluster": ""}, "client did not sign the x-k8s-aws-id header in the pre-signed URL"),
        ({"expires": 901}, "invalid X-Amz-Expires parameter in pre-signed URL: 901"),
        ({"place": "https://sts.example.com/"}, 'unexpected hostname "sts.example.com" in pre-signed URL'),
        ({"place": "https://evil.sts.amazonaws.com/"}, 'unexpected hostname "evil.sts.amazonaws.com" in'),
        ({"place": "https://sts.amazonaws.com.example.com/"}, "unexpected hostname"),
        ({"place": "http://sts.amazonaws.com/"}, 'unexpected scheme "http" in pre-signed URL'),
        ({"place": "ftp://127.0.0.1/"}, 'unexpected scheme "ftp" in pre-signed URL'),
        ({"place": "https://sts.amazonaws.com/x"}, "unexpected path in pre-signed URL"),
        ({"place": "https://sts.amazonaws.com@127.0.0.1/"}, "unexpected user in pre-signed URL"),
    ],
)
def test_a_request_that_is_not_the_one_is_refused(world: World, changes: dict[str, Any], why: str) -> None:
    status = review(world, token_of(presigned(world, **changes)))
    assert status["authenticated"] is False
    assert why in status["error"]


def test_an_argument_given_twice_is_refused(world: World) -> None:
    for twice in ("&Action=AssumeRole", "&action=GetCallerIdentity", "&X-Amz-Expires=900"):
        with pytest.raises(Unfit, match="multiple values"):
            read_untrusted(token_of(presigned(world) + twice), "keyless", START)


def test_a_token_that_was_changed_is_not_signed(world: World) -> None:
    url = presigned(world)
    pairs = dict(parse_qsl(urlsplit(url).query))
    forged = url.replace(pairs["X-Amz-Date"], pairs["X-Amz-Date"][:-2] + "1Z")
    assert "signature" in review(world, token_of(forged))["error"]


@pytest.mark.parametrize(
    "token", ["", "abc", "k8s-aws-v1.", "k8s-aws-v1.!!", "k8s-aws-v2.aGk", "k8s-aws-v1." + "a" * 20_000]
)
def test_what_is_no_token_is_refused(world: World, token: str) -> None:
    assert review(world, token)["authenticated"] is False


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_text_breaks_the_reading_of_tokens(text: str) -> None:
    with pytest.raises(Unfit):
        read_untrusted(f"k8s-aws-v1.{text}", "keyless", START)


@pytest.mark.parametrize(
    ("method", "path", "host", "body", "expected"),
    [
        ("POST", "/authenticate", "evil.example", b"{}", 403),
        ("GET", "/authenticate", "127.0.0.1", b"", 404),
        ("POST", "/", "127.0.0.1", b"{}", 404),
        ("POST", "/authenticate", "127.0.0.1", b"{", 400),
        ("POST", "/authenticate", "127.0.0.1", b'{"spec":[]}', 400),
        ("POST", "/authenticate", "127.0.0.1", b"x" * 70_000, 400),
    ],
)
def test_the_authenticator_answers_token_reviews_alone(
    world: World, method: str, path: str, host: str, body: bytes, expected: int
) -> None:
    asked = ask(world.cloud.token_review_app, method, path, headers={"host": host}, body=body)
    assert world.loop.run(asked)[0] == expected
