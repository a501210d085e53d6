"""An issuer's documents: put where AWS can fetch them, and no rotation loses a token unnoticed."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.api import Permanent
from keyless.aws import AwsPermanent
from keyless.aws.errors import Said
from keyless.identity.publishing import (
    Place,
    Plan,
    Published,
    Seen,
    plan,
    publish,
    read_cluster,
    read_published,
    unreachable,
)
from keyless.identity.publishing.plan import CACHE_SECONDS, TOKEN_SECONDS

PLACE = Place.parse("s3://issuer/prod", "eu-west-1")
URL = "https://issuer.s3.eu-west-1.amazonaws.com/prod"
NOON = 1_800_000_000
DAY = 86_400


def jwk(kid: str) -> dict[str, Any]:
    return {"kid": kid, "kty": "RSA", "use": "sig", "alg": "RS256", "n": "AQAB", "e": "AQAB"}


def cluster(*kids: str, signing: str = "", issuer: str = URL, **more: Any) -> Seen:
    return Seen(
        issuer, more.get("jwks_uri", f"{issuer}/openid/v1/jwks"), {kid: jwk(kid) for kid in kids}, signing or kids[0]
    )


def session(fake: object) -> Any:
    """The part of a session, or of an API server, that is asked here."""
    return fake


class Bucket:
    """S3; ``put_left``: so many writes succeed, then the process is killed."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.put_left = 100

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        assert (service, params["Bucket"]) == ("s3", "issuer")
        if operation == "GetObject":
            if params["Key"] not in self.objects:
                raise AwsPermanent(Said(operation, "NoSuchKey", "none"))
            return {"Body": io.BytesIO(self.objects[params["Key"]])}
        assert operation == "PutObject"
        if not self.put_left:
            raise KeyboardInterrupt
        self.put_left -= 1
        self.objects[params["Key"]] = params["Body"]
        return {}

    def read(self) -> Published:
        return asyncio.run(read_published(session(self), PLACE))

    def publish(self, seen: Seen, now: int) -> Plan:
        made = plan(seen, PLACE, self.read(), now)
        asyncio.run(publish(made, PLACE, session(self)))
        return made

    def kids(self) -> set[str]:
        return set(self.read().keys)


def unsafe(made: Plan) -> list[str]:
    return [found.says for found in (*made.refused, *made.findings) if found.unsafe]


def test_the_first_time_keys_then_discovery_then_the_record_and_the_second_time_nothing() -> None:
    bucket = Bucket()
    made = bucket.publish(cluster("a"), NOON)
    assert [key for key, _ in made.documents.objects] == [
        "prod/openid/v1/jwks",
        "prod/.well-known/openid-configuration",
        "prod/.keyless/issuer.json",
    ]
    discovery = json.loads(bucket.objects["prod/.well-known/openid-configuration"])
    assert (discovery["issuer"], discovery["jwks_uri"]) == (URL, f"{URL}/openid/v1/jwks")
    assert not unsafe(made)
    assert bucket.publish(cluster("a"), NOON + 5).documents.objects == ()


def test_a_key_that_waits_a_day_before_it_signs_is_a_safe_rotation() -> None:
    bucket = Bucket()
    bucket.publish(cluster("a"), NOON)
    waiting = bucket.publish(cluster("a", "b", signing="a"), NOON + DAY)
    assert not unsafe(waiting)
    assert any("key b waits for its turn" in found.says for found in waiting.findings)
    assert not unsafe(bucket.publish(cluster("a", "b", signing="b"), NOON + 2 * DAY))


def test_a_key_that_signs_before_caches_can_know_it_is_told_and_published_at_once() -> None:
    bucket = Bucket()
    bucket.publish(cluster("a"), NOON)
    made = bucket.publish(cluster("a", "b", signing="b"), NOON + DAY)
    assert bucket.kids() == {"a", "b"}
    (says,) = unsafe(made)
    assert "key b signs already, and was published 0 s ago" in says
    again = bucket.publish(cluster("a", "b", signing="b"), NOON + DAY + 100)
    assert "100 s ago" in unsafe(again)[0]
    assert not unsafe(bucket.publish(cluster("a", "b", signing="b"), NOON + DAY + CACHE_SECONDS))


def test_a_key_that_the_cluster_dropped_stays_until_its_last_token_ended() -> None:
    bucket = Bucket()
    bucket.publish(cluster("a", "b", signing="a"), NOON)
    later = NOON + 2 * DAY
    bucket.publish(cluster("b"), later)
    assert bucket.kids() == {"a", "b"}
    bucket.publish(cluster("b"), later + TOKEN_SECONDS - 1)
    assert bucket.kids() == {"a", "b"}
    bucket.publish(cluster("b"), later + TOKEN_SECONDS)
    assert bucket.kids() == {"b"}
    bucket.publish(cluster("a", "b", signing="b"), later + 2 * TOKEN_SECONDS)
    assert bucket.kids() == {"a", "b"}


@pytest.mark.parametrize(
    ("issuer", "why"),
    [
        ("https://kubernetes.default.svc.cluster.local", "nobody outside"),
        ("https://127.0.0.1/clusters/keyless", "nobody outside"),
        ("https://10.0.0.1", "nobody outside"),
        ("https://127.0.0.1:6443/clusters/keyless", "no port"),
        ("http://issuer.s3.eu-west-1.amazonaws.com/prod", "https alone"),
        (f"{URL}/", "final slash"),
        (f"{URL}?x=1", "no query"),
        ("https://[", "no URL"),
        ("", "https alone"),
        ("https://other.example.org", "and s3://issuer is"),
    ],
)
def test_an_issuer_that_aws_cannot_fetch_there_is_refused_with_the_flag_that_mends_it(issuer: str, why: str) -> None:
    made = plan(cluster("a", issuer=issuer), PLACE, Published(), NOON)
    (found,) = made.refused
    assert why in found.says
    assert f"--service-account-issuer={URL}" in found.advice
    assert made.documents.objects == ()


def test_another_clusters_keys_under_the_same_issuer_are_never_taken_away() -> None:
    bucket = Bucket()
    bucket.publish(cluster("a"), NOON)
    before = dict(bucket.objects)
    made = bucket.publish(cluster("x"), NOON + DAY)
    assert "none of this cluster's" in unsafe(made)[0]
    assert bucket.objects == before


def test_a_private_key_is_never_published() -> None:
    seen = Seen(URL, f"{URL}/keys", {"a": {**jwk("a"), "d": "AQAB"}}, "a")
    made = plan(seen, PLACE, Published(), NOON)
    assert "private key" in made.refused[0].says
    assert made.documents.objects == ()


def test_another_issuer_that_lies_there_is_left() -> None:
    bucket = Bucket()
    bucket.objects["prod/.well-known/openid-configuration"] = json.dumps(
        {"issuer": "https://a.example", "jwks_uri": ""}
    ).encode()
    made = bucket.publish(cluster("a"), NOON)
    assert "another issuer is published there: https://a.example" in made.refused[0].says
    assert len(bucket.objects) == 1


def test_a_jwks_uri_elsewhere_is_told_and_ours_leads_to_ours() -> None:
    bucket = Bucket()
    made = bucket.publish(cluster("a", jwks_uri="https://10.0.0.1:6443/openid/v1/jwks"), NOON)
    assert "which is not below the issuer" in made.findings[0].says
    assert f"--service-account-jwks-uri={URL}/openid/v1/jwks" in made.findings[0].advice
    assert json.loads(bucket.objects["prod/.well-known/openid-configuration"])["jwks_uri"] == f"{URL}/openid/v1/jwks"


def test_a_signing_key_that_nobody_publishes_or_knows_is_told() -> None:
    assert "does not publish it" in unsafe(plan(cluster("a", signing="z"), PLACE, Published(), NOON))[0]
    unknown = Seen(URL, f"{URL}/keys", {"a": jwk("a")}, "")
    made = plan(unknown, PLACE, Published(), NOON)
    assert any("which key signs is not known" in found.says for found in made.findings)
    assert made.documents.objects[0][0] == "prod/keys"
    assert plan(Seen(URL, "", {}, ""), PLACE, Published(), NOON).refused


STEPS = st.lists(
    st.tuples(st.sets(st.sampled_from("abcd"), min_size=1), st.integers(0, 2 * DAY)), min_size=1, max_size=6
)


@settings(deadline=None)
@given(STEPS, st.data())
def test_no_key_of_the_cluster_is_ever_missing_and_none_leaves_while_a_token_of_it_lives(steps: Any, data: Any) -> None:
    """Also where the process is killed at any write, as long as it is run again."""
    bucket, now = Bucket(), NOON
    last_held: dict[str, int] = {}
    for kids, seconds in steps:
        now += seconds
        seen = cluster(*sorted(kids))
        bucket.put_left = data.draw(st.integers(0, 3))
        try:
            bucket.publish(seen, now)
        except KeyboardInterrupt:
            bucket.put_left = 100
            bucket.publish(seen, now)
        bucket.put_left = 100
        refused = plan(seen, PLACE, bucket.read(), now).refused
        if refused:
            continue
        last_held |= dict.fromkeys(kids, now)
        alive = {kid for kid, held in last_held.items() if now < held + TOKEN_SECONDS}
        assert alive <= bucket.kids()
        assert bucket.publish(seen, now).documents.objects == ()


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://issuer", "https://issuer.s3.eu-west-1.amazonaws.com"),
        ("s3://issuer/a/b/", "https://issuer.s3.eu-west-1.amazonaws.com/a/b"),
        ("s3://is.suer/a", "https://s3.eu-west-1.amazonaws.com/is.suer/a"),
        ("arn:aws:s3:::issuer", "https://issuer.s3.eu-west-1.amazonaws.com"),
    ],
)
def test_a_place_is_the_url_that_s3_gives_it(text: str, url: str) -> None:
    assert Place.parse(text, "eu-west-1").url == url
    assert Place.parse(text, "eu-west-1", told="https://ids.example.org/").url == "https://ids.example.org"
    assert Place.parse("s3://issuer", "cn-north-1", "aws-cn").url == "https://issuer.s3.cn-north-1.amazonaws.com.cn"


@pytest.mark.parametrize("text", ["", "issuer", "s3://", "s3://A", "https://issuer", "s3:///a", "arn:aws:s3:::"])
def test_what_is_no_place_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Place.parse(text, "eu-west-1")


class Host:
    """An API server's two documents and its token request."""

    def __init__(self, kid: str = "a", error: Exception | None = None) -> None:
        self.kid, self.error = kid, error

    async def request(self, method: str, path: str) -> Any:
        if path == "/openid/v1/jwks":
            return json.dumps({"keys": [jwk("a"), jwk("b"), {"kty": "RSA"}, "x"]})
        return {"issuer": URL, "jwks_uri": f"{URL}/openid/v1/jwks"}

    async def token(self, name: str, namespace: str, **_: Any) -> Any:
        if self.error:
            raise self.error

        class Issued:
            token = base64.urlsafe_b64encode(json.dumps({"kid": self.kid}).encode()).decode().rstrip("=") + ".e30.sig"

        return Issued()


def test_the_cluster_says_which_key_signs_by_a_token() -> None:
    seen = asyncio.run(read_cluster(session(Host("b"))))
    assert (seen.issuer, set(seen.keys), seen.signing) == (URL, {"a", "b"}, "b")
    assert asyncio.run(read_cluster(session(Host(error=Permanent("denied"))))).signing == ""


@pytest.mark.parametrize(
    ("documents", "why"),
    [
        ({}, "cannot be fetched"),
        ({"/.well-known/openid-configuration": "<html>"}, "no JSON"),
        ({"/.well-known/openid-configuration": '{"issuer": "https://x"}'}, "is for issuer 'https://x'"),
        (
            {
                "/.well-known/openid-configuration": json.dumps({"issuer": URL, "jwks_uri": f"{URL}/k"}),
                "/k": json.dumps({"keys": [jwk("b")]}),
            },
            "lack a",
        ),
        (
            {
                "/.well-known/openid-configuration": json.dumps({"issuer": URL, "jwks_uri": f"{URL}/k"}),
                "/k": json.dumps({"keys": [jwk("a")]}),
            },
            "",
        ),
    ],
)
def test_they_are_fetched_as_aws_would(documents: dict[str, str], why: str) -> None:
    async def fetch(url: str) -> str:
        if (found := documents.get(url.removeprefix(URL))) is None:
            raise Permanent(f"{url} cannot be fetched")
        return found

    said = asyncio.run(unreachable(cluster("a"), fetch))
    assert why in said
    assert bool(said) is bool(why)


def test_what_is_no_json_in_the_bucket_is_told_and_left() -> None:
    bucket = Bucket()
    bucket.objects["prod/.well-known/openid-configuration"] = b"<html>"
    with pytest.raises(Permanent, match="is no JSON object"):
        bucket.read()
