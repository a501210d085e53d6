"""The bucket over HTTP: listings in pages, every key, every failure by S3's own code."""

import pytest

from keyless.api import Permanent, Transient
from keyless.aws import AwsPermanent, AwsTransient, Keys, Session
from keyless.billing.export.reading import readers
from keyless.billing.export.s3 import S3Bucket
from unit.billing.bucket import MemoryBucket, s3_over_http

KEYS = [
    "a",
    "a b",
    "a//b",
    "a/",
    "/a",
    "a/../b",
    "a/./b",
    "a%2Fb",
    "a+b",
    "a?b#c",
    "é/ü",
    "a\nb",
    "a\x01b",
    "a<&>b",
    "'",
    "~*",
]


def bucket_at(url, *, region="us-east-1", sleep=lambda _: None):
    return S3Bucket(Session.with_keys(Keys("AKIA", "secret"), region=region), "usage", endpoint=url, sleep=sleep)


def test_every_key_that_s3_allows_is_listed_over_pages_and_read():
    stored = MemoryBucket({key: key.encode() for key in KEYS})
    with s3_over_http(stored, page=3) as (url, _):
        bucket = bucket_at(url)
        listed = list(bucket.list(""))
        assert {item.key: item.size for item in listed} == {key: len(key.encode()) for key in KEYS}
        assert [bucket.get(item.key) for item in listed] == [item.key.encode() for item in listed]


def test_groups_are_the_names_up_to_the_slash():
    stored = MemoryBucket({"account=a b/date=1/x": b"", "account=é/y": b"", "other": b""})
    with s3_over_http(stored) as (url, _):
        assert list(bucket_at(url).groups("account=")) == ["account=a b/", "account=é/"]


def test_a_key_that_is_taken_stays_as_it_is():
    stored = MemoryBucket({"taken": b"before"})
    with s3_over_http(stored) as (url, _):
        bucket_at(url).put_new("taken", b"after")
        bucket_at(url).put_new("new", b"body")
    assert stored.objects == {"taken": b"before", "new": b"body"}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchBucket", AwsPermanent),
        (403, "AccessDenied", AwsPermanent),
        (403, "InvalidAccessKeyId", AwsPermanent),
        (403, "RequestTimeTooSkewed", AwsTransient),
        (503, "SlowDown", AwsTransient),
        (500, "InternalError", AwsTransient),
        (301, "PermanentRedirect", AwsPermanent),
        (400, "ExpiredToken", AwsTransient),
    ],
)
def test_every_failure_has_s3s_own_code_whatever_was_asked(status, code, kind):
    body = f"<Error><Code>{code}</Code><Message>Say &amp; do</Message></Error>".encode()
    pauses = []
    with s3_over_http(MemoryBucket(), failing=(status, body)) as (url, _):
        bucket = bucket_at(url, sleep=pauses.append)
        for ask in (
            lambda: list(bucket.list("")),
            lambda: bucket._ask("GetObject", "GET", "key"),
            lambda: bucket.put_new("k", b""),
        ):
            with pytest.raises(kind) as failed:
                ask()
            assert failed.value.code == code
            assert "Say & do" in str(failed.value)
            assert "usage" in str(failed.value)
    assert len(pauses) == (9 if kind is AwsTransient else 3)


def test_an_object_that_vanished_is_told_by_the_plain_request():
    with s3_over_http(MemoryBucket()) as (url, requests), pytest.raises(AwsPermanent) as failed:
        bucket_at(url).get("account=acme/gone")
    assert failed.value.code == "NoSuchKey"
    assert len(requests) == 2


@pytest.mark.parametrize("answer", [(200, b"<html>a proxy</html"), (200, b""), (502, b"Bad gateway"), (404, b"")])
def test_what_is_no_s3_is_a_failure_with_a_code_and_no_traceback(answer):
    with s3_over_http(MemoryBucket(), failing=answer) as (url, _), pytest.raises((AwsPermanent, AwsTransient)):
        list(bucket_at(url).list(""))


def test_nobody_listening_may_pass():
    with s3_over_http(MemoryBucket()) as (url, _):
        pass
    with pytest.raises(Transient):
        list(bucket_at(url).list(""))


def test_the_region_that_s3_names_is_asked_once_and_kept():
    stored = MemoryBucket({"a": b"x"})
    with s3_over_http(stored, region="eu-west-3") as (url, requests):
        bucket = bucket_at(url)
        assert [item.key for item in bucket.list("")] == ["a"]
        assert bucket.get("a") == b"x"
        assert len(requests) == 3


def test_results_come_in_order_and_the_first_failure_ends_it():
    def work(number):
        if number == 7:
            raise Permanent("seven")
        return number

    with readers(4) as pool:
        assert list(pool.in_order(work, range(6))) == [0, 1, 2, 3, 4, 5]
        with pytest.raises(Permanent, match="seven"):
            list(pool.in_order(work, range(6, 1000)))


def test_no_more_is_begun_than_the_bound_allows():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    with readers(2) as pool:
        results = pool.in_order(lambda n: n, items())
        next(results)
        assert len(taken) == 4
        assert list(results) == list(range(1, 100))
