"""A row of usage joins CloudTrail: every object's request id and session are those of the cloud's own audit."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from keyless.billing.collector.storing import S3
from keyless.local.cloud.cloudtrail import record
from unit.billing.collector.test_clock import Machine
from unit.billing.faults.stage import Stage
from unit.local.cloud.support import World, a_role, allow


@pytest.fixture
def world():
    found = World()
    yield found
    found.close()


def as_role(world, keys):
    """The collector's session, on the cloud in memory."""

    async def call(service, operation):
        assert (service, operation) == ("sts", "GetCallerIdentity")
        return world.aws("sts", keys).get_caller_identity()

    def blocking(name, *, config):
        given = {"s3": config.s3, "request_checksum_calculation": config.request_checksum_calculation}
        return world.aws(name, keys, **given)

    return SimpleNamespace(region="us-west-2", service_blocking=blocking, call=call)


async def test_every_object_joins_the_audit_by_the_request_id_and_session_in_its_manifest(world, tmp_path):
    world.aws("s3").create_bucket(Bucket="usage", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    stage = Stage(tmp_path, flush=30)
    await stage.boot()
    store = S3(as_role(world, a_role(world, allow("s3:PutObject"))), "usage", Machine().clock())
    for second in (0, 15, 30, 45):
        stage.recorder.sample()
        stage.uploader._store = store
        stage.recorder.close()
        assert await stage.uploader.upload_waiting() is None, second
    events = [record(line) for line in world.audit()]
    puts = {event["requestID"]: event for event in events if event["eventName"] == "PutObject"}
    s3 = world.aws("s3")
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="usage")["Contents"]]
    manifests = [json.loads(s3.get_object(Bucket="usage", Key=k)["Body"].read()) for k in keys if k.endswith(".json")]
    manifests.sort(key=lambda document: document["sequence"])
    told = [receipt for m in manifests for receipt in (*m["receipts"], m["previousReceipt"]) if receipt]
    # The last manifest's own is told by the one after it.
    newest = max(key for key in keys if key.endswith(".json"))
    assert sorted(receipt["key"] for receipt in told) == sorted(set(keys) - {newest})
    for receipt in told:
        event = puts[receipt["requestId"]]
        assert event["requestParameters"]["key"] == receipt["key"]
        assert event["userIdentity"]["arn"] == receipt["session"]
