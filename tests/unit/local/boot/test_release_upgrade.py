"""An upgrade of the carried release without Helm leaves what Helm would leave."""

import base64
import gzip
import json
from datetime import UTC, datetime

import yaml

from keyless.local.boot.release import installed
from keyless.local.boot.release.upgrade import upgraded

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BILLING = {("billing", "enabled"): True, ("billing", "storage", "secretRef", "name"): ""}


def record_of(secret):
    return json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))


def test_the_values_are_the_charts_with_those_that_were_set():
    values = json.loads(upgraded(installed(NOON).secret, BILLING, NOON).values_json)
    assert values["billing"]["enabled"] is True
    assert values["billing"]["storage"]["secretRef"]["name"] == ""
    assert values["sharedSecrets"]["enabled"] is True


def test_the_new_record_renders_the_new_values_and_the_old_one_is_superseded():
    made = upgraded(installed(NOON).secret, BILLING, NOON)
    assert made.secret["metadata"]["name"] == "sh.helm.release.v1.spaces.v2"
    assert made.secret["metadata"]["labels"]["status"] == "deployed"
    assert made.superseded["metadata"]["labels"]["status"] == "superseded"
    documents = yaml.safe_load_all(record_of(made.secret)["manifest"])
    (found,) = [d for d in documents if d and d["metadata"]["name"] == "spaces-values"]
    assert found["data"]["values.json"] == made.values_json


def test_values_that_helm_kept_in_the_record_s_chart_are_gone_too():
    """As ``helm upgrade --reuse-values`` leaves a record: what was set before stands among the chart's own values."""
    first = installed(NOON).secret
    record = record_of(first)
    record["chart"]["values"]["billing"]["enabled"] = True
    text = json.dumps(record).encode()
    first["data"]["release"] = base64.b64encode(base64.b64encode(gzip.compress(text))).decode()
    assert json.loads(upgraded(first, {}, NOON).values_json)["billing"]["enabled"] is False


def test_values_set_before_are_gone_unless_they_are_reused():
    first = upgraded(installed(NOON).secret, BILLING, NOON).secret
    second = {("sharedSecrets", "enabled"): True}
    assert json.loads(upgraded(first, second, NOON).values_json)["billing"]["enabled"] is False
    assert json.loads(upgraded(first, second, NOON, reuse_values=True).values_json)["billing"]["enabled"] is True
