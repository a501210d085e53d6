"""What Helm left, read back: every value of the guides, and every way in which it can be wrong."""

import json

import pytest

from keyless.api import Reason, Refusal
from keyless.space.values import SecretsSync, Values, parse_values

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


def test_a_mode_to_come_is_refused_by_name() -> None:
    assert "'kubernetes', which is not implemented" in _refused({"controlPlanes": {"api": {"mode": "kubernetes"}}})


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
    values = _parsed(controlPlanes={"sharedSecrets": {"adoptUnowned": True, "deletionGuard": guard}})
    assert values.secrets_sync == SecretsSync(adopt_unowned=True, misses=0, seconds=0, percent=100, least=7)


@pytest.mark.parametrize("wrong", [-1, 1.5, "3", True, [3], {}])
@pytest.mark.parametrize("field", ["misses", "seconds", "percent", "least"])
def test_a_guard_that_is_no_whole_number_is_refused_by_name(field: str, wrong: object) -> None:
    guard = {"sharedSecrets": {"deletionGuard": {field: wrong}}}
    assert f"controlPlanes.sharedSecrets.deletionGuard.{field}: expected a whole" in _refused({"controlPlanes": guard})


def test_a_share_of_more_than_all_is_refused() -> None:
    guard = {"sharedSecrets": {"deletionGuard": {"percent": 101}}}
    assert "percent: expected a whole number from 0 to 100, found 101" in _refused({"controlPlanes": guard})
