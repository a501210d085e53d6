"""What Helm left, read back: every value of the guides, and every way in which it can be wrong."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from keyless.api import Reason, Refusal
from keyless.aws.writing import ACLS, CHECKSUMS, ENCRYPTIONS, STYLES, Writing
from keyless.billing.report.capacity import Bought
from keyless.shared_secrets.stores.scopes import Scope
from keyless.space.parsing import parse_values
from keyless.space.surroundings import CaBundle, Proxy
from keyless.space.values import SecretsSync, Values

CHART = Path(__file__).parents[3] / "spaces-helm-chart"
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
STORAGE = SCHEMA["properties"]["billing"]["properties"]["storage"]["properties"]["aws"]
FLUSH = SCHEMA["properties"]["billing"]["properties"]["flushInterval"]
ROLE = "arn:aws:iam::111122223333:role/billing"
CHINA = "arn:aws-cn:iam::111122223333:role/path/billing"


def _parsed(**document: object) -> Values:
    values = parse_values(json.dumps(document))
    assert isinstance(values, Values), values
    return values


def _refused(document: object) -> str:
    refusal = parse_values(json.dumps(document))
    assert isinstance(refusal, Refusal)
    assert refusal.reason is Reason.VALUES_INVALID
    return refusal.detail


def test_an_empty_document_is_the_chart_without_a_word() -> None:
    assert _parsed() == Values()


def test_the_billing_guides_flags_arrive() -> None:
    storage = {"provider": "aws", "aws": {"region": "us-west-2", "bucket": "usage"}, "secretRef": {"name": ""}}
    account = {"customAnnotations": {"eks.amazonaws.com/role-arn": ROLE}}
    values = _parsed(
        billing={"enabled": True, "storage": storage}, controlPlanes={"vector": {"serviceAccount": account}}
    )
    assert (values.billing.enabled, values.billing.bucket, values.billing.secret) == (True, "usage", "")
    assert values.billing.missing == ()
    assert values.vector.annotations == {"eks.amazonaws.com/role-arn": ROLE}


def test_shared_secrets_are_on_until_one_of_two_switches_turns_them_off() -> None:
    assert _parsed().shared_secrets
    assert not _parsed(sharedSecrets={"enabled": False}).shared_secrets
    assert not _parsed(features={"alpha": {"sharedSecrets": {"enabled": False}}}).shared_secrets


@pytest.mark.parametrize(
    ("written", "read"), [(True, True), ("true", True), (False, False), ("false", False), ("auto", None), (None, None)]
)
def test_persistence_is_a_switch_with_a_third_position(written: object, read: bool | None) -> None:
    persistence = {"persistence": {"enabled": written}}
    assert _parsed(controlPlanes={"vector": persistence}).persistence.enabled is read


def test_labels_of_resources_arrive() -> None:
    assert _parsed().billing.dimension_labels == ()
    values = _parsed(billing={"dimensions": {"labels": ["team", "example.org/cost-centre", "team"], "limit": 500.0}})
    assert (values.billing.dimension_labels, values.billing.combinations) == (("team", "example.org/cost-centre"), 500)


@pytest.mark.parametrize("labels", ["team", ["a,b"], [""], [3], ["-x"], {"team": True}])
def test_what_is_no_label_is_refused_with_its_place(labels: object) -> None:
    assert "billing.dimensions.labels: expected a list of keys" in _refused(
        {"billing": {"dimensions": {"labels": labels}}}
    )


def test_scopes_and_the_lending_of_the_controllers_identity_arrive() -> None:
    assert _parsed().scopes is None
    assert not _parsed().tenant_stores_may_use_controller_identity
    section = {"tenantStoresMayUseControllerIdentity": True, "scopes": [{"namespace": "app", "prefixes": ["team-a"]}]}
    values = _parsed(controlPlanes={"sharedSecrets": section})
    assert values.tenant_stores_may_use_controller_identity
    assert values.scopes == (Scope(("team-a",), namespace="app"),)


@pytest.mark.parametrize(
    ("scopes", "text"), [([], "an empty list"), ([{"prefixes": ["a*"]}], "ends at /"), ("x", "a list")]
)
def test_scopes_that_cannot_be_read_are_refused_with_their_place(scopes: object, text: str) -> None:
    refused = _refused({"controlPlanes": {"sharedSecrets": {"scopes": scopes}}})
    assert "controlPlanes.sharedSecrets.scopes" in refused
    assert text in refused


def test_null_means_the_default_as_in_helm() -> None:
    assert _parsed(account=None, controlPlanes={"vector": None}) == Values()


def test_roles_of_every_partition_are_roles() -> None:
    account = {"serviceAccount": {"customAnnotations": {"eks.amazonaws.com/role-arn": CHINA}}}
    assert _parsed(controlPlanes={"sharedSecrets": account}).external_secrets.annotations


@pytest.mark.parametrize(
    "arn",
    ["", "billing", "arn:aws:iam:::role/", "arn:aws:iam::1:user/x", "arn:aws:s3:::bucket", "arn:aws:iam::1:role/"],
)
def test_a_role_arn_that_is_none_is_refused(arn: str) -> None:
    account = {"serviceAccount": {"customAnnotations": {"eks.amazonaws.com/role-arn": arn}}}
    detail = _refused({"controlPlanes": {"vector": account}})
    assert "controlPlanes.vector.serviceAccount.customAnnotations" in detail
    assert repr(arn) in detail


def test_all_faults_are_named_at_once() -> None:
    detail = _refused(
        {
            "account": 7,
            "billing": {"enabled": "yes", "storage": {"provider": "gcp"}},
            "controlPlanes": {"api": {"mode": "x"}},
        }
    )
    for path in ("account", "billing.enabled", "billing.storage.provider", "controlPlanes.api.mode"):
        assert f"{path}: expected" in detail


def test_a_mode_that_is_none_is_refused_by_name() -> None:
    assert "'vcluster', which is not implemented" in _refused({"controlPlanes": {"api": {"mode": "vcluster"}}})


def test_what_runs_a_control_plane_s_api_is_told_by_the_values() -> None:
    images = {"apiServer": "mirror/api:1", "controllerManager": "mirror/manager:1", "etcd": "mirror/etcd:1"}
    section = {"images": images, "persistence": {"size": "8Gi", "storageClassName": "fast"}, "nodeSelector": {"a": "b"}}
    read = _parsed(controlPlanes={"api": {"mode": "kubernetes"}, "kubernetes": section}).api_server
    assert (read.image, read.controller_manager_image, read.etcd_image) == tuple(images.values())
    assert (read.size, read.storage_class, read.scheduling) == ("8Gi", "fast", {"nodeSelector": {"a": "b"}})


def test_a_text_that_is_no_json_is_refused() -> None:
    refusal = parse_values("{")
    assert isinstance(refusal, Refusal)
    assert "run helm upgrade again" in refusal.detail


def test_billing_without_a_place_says_what_is_missing() -> None:
    assert _parsed(billing={"enabled": True}).billing.missing == (
        "billing.storage.provider",
        "billing.storage.aws.bucket",
    )


def test_the_guards_of_shared_secrets_arrive_and_zero_is_a_number() -> None:
    guard = {"misses": 0, "seconds": 0.0, "percent": 100, "least": 7}
    said = {"adoptUnowned": True, "markedForDeletionIsMissing": True, "deletionGuard": guard}
    values = _parsed(controlPlanes={"sharedSecrets": said})
    wanted = SecretsSync(adopt_unowned=True, pending_is_missing=True, misses=0, seconds=0, percent=100, least=7)
    assert values.secrets_sync == wanted


@pytest.mark.parametrize("wrong", [-1, 1.5, "3", True, [3], {}])
@pytest.mark.parametrize("field", ["misses", "seconds", "percent", "least"])
def test_a_guard_that_is_no_whole_number_is_refused_by_name(field: str, wrong: object) -> None:
    guard = {"sharedSecrets": {"deletionGuard": {field: wrong}}}
    assert f"controlPlanes.sharedSecrets.deletionGuard.{field}: expected a whole" in _refused({"controlPlanes": guard})


def test_a_share_of_more_than_all_is_refused() -> None:
    guard = {"sharedSecrets": {"deletionGuard": {"percent": 101}}}
    assert "percent: expected a whole number from 0 to 100, found 101" in _refused({"controlPlanes": guard})


@pytest.mark.parametrize(
    "storage", [{"secretRef": {"name": ""}}, {"secretRef": {"name": None}}, {"secretRef": {}}, {"secretRef": None}, {}]
)
def test_after_the_merge_an_empty_null_or_missing_secret_is_workload_identity(storage: dict[str, object]) -> None:
    assert _parsed(billing={"enabled": True, "storage": storage}).billing.secret == ""


def test_the_charts_default_stays_static_keys_so_that_a_forgotten_flag_is_named() -> None:
    chart = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert _parsed(**chart).billing.secret == "billing-storage"


BUCKETS = {
    "": True,
    "usage": True,
    "a.b-c.d": True,
    "x" * 63: True,
    "x" * 64: False,
    "ab": False,
    "My-Bucket": False,
    "my_bucket": False,
    "-bucket": False,
    "bucket.": False,
    "a..b": False,
    "192.168.5.4": False,
    "xn--bucket": False,
    "sthree-bucket": False,
    "amzn-s3-demo-bucket": False,
    "bucket-s3alias": False,
    "bucket--ol-s3": False,
    "bucket.mrap": False,
    "bucket--x-s3": False,
    "bucket--table-s3": False,
    "s3://bucket": False,
    "bucket/usage": False,
    "bucket\n": False,
}
REGIONS = {
    "": True,
    "us-west-2": True,
    "ap-southeast-5": True,
    "us-gov-west-1": True,
    "cn-northwest-1": True,
    "us-iso-east-1": True,
    "us-isob-east-1": True,
    "eu-isoe-west-1": True,
    "eusc-de-east-1": True,
    "US-WEST-2": False,
    "us-west": False,
    "us-west-2a": False,
    "Oregon": False,
    "us_west_2": False,
}


def _accepts(schema: Mapping[str, Any], value: str) -> bool:
    """The few words of JSON schema that the section uses, on one string; Helm's own reader is asked in the guides."""
    return (
        len(value) <= schema.get("maxLength", len(value))
        and re.search(schema.get("pattern", ""), value.replace("\n", "\x01")) is not None
        and not any(re.search(each["pattern"], value) for each in schema.get("not", {}).get("anyOf", ()))
    )


@pytest.mark.parametrize(("bucket", "good"), BUCKETS.items(), ids=repr)
def test_a_bucket_is_judged_alike_by_the_schema_and_by_the_operator(bucket: str, good: bool) -> None:
    billing = _parsed(billing={"enabled": True, "storage": {"provider": "aws", "aws": {"bucket": bucket}}}).billing
    assert (not billing.faults) is good
    assert _accepts(STORAGE["properties"]["bucket"], bucket) is good


@pytest.mark.parametrize(("region", "good"), REGIONS.items(), ids=repr)
def test_a_region_is_judged_alike_by_the_schema_and_by_the_operator(region: str, good: bool) -> None:
    aws = {"bucket": "usage", "region": region}
    assert (not _parsed(billing={"enabled": True, "storage": {"aws": aws}}).billing.faults) is good
    assert _accepts(STORAGE["then"]["properties"]["region"], region) is good
    elsewhere = {**aws, "endpoint": "https://objects.example.org"}
    assert not _parsed(billing={"enabled": True, "storage": {"aws": elsewhere}}).billing.faults


@pytest.mark.parametrize(
    ("written", "limits"),
    [
        ({"resourceHours": 1000, "operations": None}, (1000, None)),
        ({"operations": 5.0}, (None, 5)),
        ({"resourceHours": 0, "operations": 7}, (0, 7)),
    ],
)
def test_a_capacity_that_was_bought_arrives_with_its_last_day(
    written: dict[str, object], limits: tuple[int | None, int | None]
) -> None:
    bought = _parsed(capacity={**written, "from": "2026-01-01", "to": "2026-12-31"}).capacity.bought
    assert bought == Bought(*limits, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("none", [{}, {"resourceHours": None, "operations": None, "from": "", "to": ""}, None])
def test_without_a_capacity_none_is_bought(none: object) -> None:
    assert _parsed(capacity=none).capacity.bought is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"from": ""}, "capacity: expected resourceHours or operations with from and to"),
        ({"resourceHours": None}, "capacity: expected resourceHours or operations with from and to"),
        ({"to": "2025-12-31"}, "capacity.to: expected a day from 2026-01-01 on, found 2025-12-31"),
        ({"to": "2026-13-01"}, "capacity.to: expected a day as 2026-01-31, found '2026-13-01'"),
        ({"to": "20261231"}, "capacity.to: expected a day as 2026-01-31, found '20261231'"),
        ({"resourceHours": "1000"}, "capacity.resourceHours: expected a whole number from 0, found '1000'"),
        ({"resourceHours": -1}, "capacity.resourceHours: expected a whole number from 0, found -1"),
    ],
)
def test_a_capacity_of_which_nobody_could_say_whether_it_lasts_is_refused(
    changes: dict[str, object], said: str
) -> None:
    whole = {"resourceHours": 1000, "operations": None, "from": "2026-01-01", "to": "2026-12-31"}
    assert said in _refused({"capacity": whole | changes})


@pytest.mark.parametrize(
    ("written", "seconds"), [("", 0), (None, 0), ("1m", 60), ("5m", 300), ("59m", 3540), ("60m", 3600), ("1h", 3600)]
)
def test_how_often_usage_is_stored_arrives(written: str | None, seconds: int) -> None:
    assert _parsed(billing={"flushInterval": written}).billing.flush_seconds == seconds
    assert written is None or re.search(FLUSH["pattern"], written)


@pytest.mark.parametrize("wrong", ["30s", "0m", "61m", "2h", "90s", "5", "-5m", "five", "1.5m", "m", "1m1s"])
def test_what_is_no_interval_of_uploads_is_refused_by_the_schema_and_by_the_operator(wrong: str) -> None:
    assert "billing.flushInterval: expected whole minutes from 1m to 60m" in _refused(
        {"billing": {"flushInterval": wrong}}
    )
    assert not re.search(FLUSH["pattern"], wrong)


def test_what_every_object_carries_arrives() -> None:
    aws = {
        "serverSideEncryption": "aws:kms",
        "ssekmsKeyId": "alias/mine",
        "expectedBucketOwner": "111122223333",
        "acl": "bucket-owner-full-control",
        "checksumAlgorithm": "none",
        "addressingStyle": "path",
    }
    billing = _parsed(billing={"storage": {"aws": aws}}).billing
    assert billing.writing == Writing("aws:kms", "alias/mine", "111122223333", "bucket-owner-full-control", "none")
    assert billing.addressing_style == "path"
    assert aws.keys() <= STORAGE["properties"].keys()


@pytest.mark.parametrize(
    ("aws", "fault"),
    [
        ({"ssekmsKeyId": "alias/mine"}, "billing.storage.aws.ssekmsKeyId: expected serverSideEncryption aws:kms"),
        ({"expectedBucketOwner": "12"}, "billing.storage.aws.expectedBucketOwner: expected an account of 12 digits"),
    ],
)
def test_what_s3_would_refuse_of_every_object_is_named(aws: dict[str, str], fault: str) -> None:
    found = _parsed(billing={"storage": {"aws": aws}}).billing.faults
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_what_signs_manifests_arrives_and_two_keys_are_a_fault() -> None:
    kms = _parsed(billing={"signing": {"kmsKeyId": "alias/billing", "secretRef": {"name": ""}}}).billing
    assert (kms.signing_kms, kms.signing_secret, kms.faults) == ("alias/billing", "", ())
    file = _parsed(billing={"signing": {"secretRef": {"name": "billing-key"}}}).billing
    assert (file.signing_kms, file.signing_secret, file.faults) == ("", "billing-key", ())
    none = _parsed(billing={"signing": {"secretRef": None}}).billing
    assert (none.signing_kms, none.signing_secret) == ("", "")
    both = _parsed(billing={"signing": {"kmsKeyId": "x", "secretRef": {"name": "y"}}}).billing
    assert both.faults == ("billing.signing: expected one of kmsKeyId and secretRef.name, found both",)


def test_the_schema_and_the_operator_know_the_same_words() -> None:
    for name, words in (("serverSideEncryption", ENCRYPTIONS), ("acl", ACLS), ("checksumAlgorithm", CHECKSUMS)):
        assert tuple(STORAGE["properties"][name]["enum"]) == (*words, None)
    assert tuple(STORAGE["properties"]["addressingStyle"]["enum"]) == (*STYLES, None)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (SCHEMA["properties"]["account"], ["notdemo", "a-b.c_1"], ["", "a/b", "a b", "a\nb"]),
        (
            STORAGE["properties"]["endpoint"],
            ["", "https://s3.example.com", "http://127.0.0.1:9000/base"],
            ["foo", "s3.example.com", "ftp://x", "https://", "https://a b", "https://x?y=z"],
        ),
    ],
)
def test_the_schema_refuses_what_no_key_or_client_could_be_made_of(
    schema: Mapping[str, Any], good: list[str], bad: list[str]
) -> None:
    assert [text for text in (*good, *bad) if re.search(schema["pattern"], text)] == good


def test_a_digest_says_which_image_it_is_whatever_the_tag() -> None:
    digest = "sha256:" + "0a" * 32
    image = {"repository": "registry.example/keyless", "tag": "0.2.0", "digest": digest}
    assert _parsed(image=image).image == f"registry.example/keyless@{digest}"
    assert _parsed(image={**image, "digest": ""}).image == "registry.example/keyless:0.2.0"


def test_what_all_pods_share_arrives() -> None:
    around = _parsed(
        commonLabels={"team": "a", "gone": None},
        commonAnnotations={"owner": "b"},
        imagePullSecrets=[{"name": "regcred"}, "second", {"name": "regcred"}],
        proxy={"httpsProxy": "http://proxy.example:3128", "noProxy": "10.0.0.0/8"},
        caBundle={"kind": "Secret", "name": "tls", "key": "root.pem"},
    ).surroundings
    assert (around.labels, around.annotations) == ({"team": "a"}, {"owner": "b"})
    assert around.pull_secrets == ("regcred", "second")
    assert around.ca_bundle == CaBundle("Secret", "tls", "root.pem")
    assert [each["name"] for each in around.env] == ["HTTPS_PROXY", "NO_PROXY", "AWS_CA_BUNDLE", "SSL_CERT_FILE"]


def test_what_a_pod_must_reach_on_its_node_and_in_its_cluster_never_takes_the_proxy() -> None:
    env = {each["name"]: each["value"] for each in Proxy(https="http://p:1", unproxied="10.0.0.0/8").env}
    unproxied = env["NO_PROXY"].split(",")
    assert {"169.254.170.23", "fd00:ec2::23", "$(KUBERNETES_SERVICE_HOST)", "10.0.0.0/8"} <= set(unproxied)
    assert Proxy(unproxied="10.0.0.0/8").env == ()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"imagePullSecrets": [{}]}, "imagePullSecrets[0]: expected the name of an object, found None"),
        ({"imagePullSecrets": "regcred"}, "imagePullSecrets: expected a list"),
        ({"commonLabels": {"n": 7}}, "commonLabels.n: expected a string, found 7; quote it or use --set-string"),
        ({"caBundle": {"kind": "File", "name": "x"}}, "caBundle.kind: expected ConfigMap or Secret"),
        (
            {"controlPlanes": {"vector": {"extraEnv": [{"name": "A"}, {"value": "word-nobody-may-see"}]}}},
            "controlPlanes.vector.extraEnv[1]: expected name, and value (a string) or valueFrom, found ['value']",
        ),
        ({"controlPlanes": {"vector": {"extraEnv": [{"name": "A", "value": 1}]}}}, "extraEnv[0]: expected name"),
        ({"controlPlanes": {"vector": {"extraEnv": ["A=1"]}}}, "found 'A=1'"),
    ],
)
def test_what_no_pod_could_be_made_of_is_refused_by_its_place(document: dict[str, object], said: str) -> None:
    assert said in _refused(document)
    assert "word-nobody-may-see" not in _refused(document)


@pytest.mark.parametrize("name", ["{name}.example.com", "a-{id}.example.com", "{name}-{group}", ""])
def test_a_hostname_that_each_control_plane_has_for_itself_is_taken(name: str) -> None:
    values = parse_values(json.dumps({"controlPlanes": {"kubernetes": {"service": {"hostname": name}}}}))
    assert isinstance(values, Values)
    assert values.api_server.hostname == name


@pytest.mark.parametrize(
    "name", ["api.example.com", "{group}.example.com", "{name}..com", "{Name}.com", "https://{name}"]
)
def test_a_hostname_that_all_would_share_or_that_is_none_is_refused(name: str) -> None:
    said = _refused({"controlPlanes": {"kubernetes": {"service": {"hostname": name}}}})
    assert "controlPlanes.kubernetes.service.hostname: expected a DNS name in which {name}" in said


KMS_KEY = SCHEMA["properties"]["controlPlanes"]["properties"]["kubernetes"]["properties"]["encryption"]["properties"][
    "kmsKeyId"
]


@pytest.mark.parametrize(
    "key",
    [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        "alias/secrets",
        "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-west-1:111122223333:alias/a/b",
    ],
)
def test_a_kms_key_for_secrets_is_named_as_kms_takes_it(key: str) -> None:
    assert _parsed(controlPlanes={"kubernetes": {"encryption": {"kmsKeyId": key}}}).api_server.kms_key == key
    assert re.search(KMS_KEY["pattern"], key)


@pytest.mark.parametrize(
    "wrong",
    ["-x", "alias/", "arn:aws:s3:::bucket", "arn:aws:iam::111122223333:role/x", "arn:aws:kms:eu-west-1:1:key/x", "a b"],
)
def test_what_names_no_kms_key_is_refused_by_the_schema_and_by_the_operator(wrong: str) -> None:
    said = _refused({"controlPlanes": {"kubernetes": {"encryption": {"kmsKeyId": wrong}}}})
    expected = f"expected a KMS key's id, ARN, alias or alias ARN, found {wrong!r}"
    assert f"controlPlanes.kubernetes.encryption.kmsKeyId: {expected}" in said
    assert not re.search(KMS_KEY["pattern"], wrong)
