"""From values to objects: what the pods are told, what they may do, and what goes again."""

from dataclasses import replace
from datetime import date

import pytest

from keyless.api.settings import load
from keyless.aws.writing import Writing
from keyless.billing.collector.settings import Settings
from keyless.kube.resources import CLUSTERROLES, ROLES
from keyless.shared_secrets.settings import Settings as SecretsSettings
from keyless.shared_secrets.stores.scopes import Scope, from_text
from keyless.shared_secrets.sync.deletion import Guard
from keyless.space import components
from keyless.space.place import Place
from keyless.space.values import Backup, Billing, Capacity, Persistence, SecretsSync, Values, Workload

PLACE = Place("ctp1", "default", "uid-1", "9f0c", "mxp-9f0c-system")
BILLING = Billing(True, "aws", "usage", "us-west-2", "", "")


def _env(component: components.Component) -> dict[str, object]:
    container = component.deployment.object["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each.get("value", each.get("valueFrom", "")) for each in container["env"]}


def _pod(component: components.Component) -> dict:
    return component.deployment.object["spec"]["template"]["spec"]


def test_the_names_are_those_of_the_guides() -> None:
    vector, secrets = components.wanted(Values(billing=BILLING), PLACE, volume=False)
    assert (vector.deployment.key.name, vector.service_account.name) == ("vector", "vector")
    assert (secrets.deployment.key.name, secrets.service_account.name) == (
        "external-secrets",
        "external-secrets-controller",
    )
    assert _pod(secrets)["containers"][0]["name"] == "external-secrets-controller"
    assert {each.deployment.key.namespace for each in (vector, secrets)} == {"mxp-9f0c-system"}


def test_values_decide_which_components_there_are() -> None:
    assert [each.name for each in components.wanted(Values(), PLACE, volume=False)] == ["external-secrets"]
    off = Values(billing=BILLING, shared_secrets=False)
    assert [each.name for each in components.wanted(off, PLACE, volume=False)] == ["vector"]


def test_the_collector_is_told_where_it_is_and_where_usage_goes() -> None:
    env = _env(components.vector(Values(account="acme", billing=BILLING), PLACE, volume=True))
    assert env["KEYLESS_ACCOUNT"] == "acme"
    assert env["KEYLESS_BILLING_BUCKET"] == "usage"
    assert env["KEYLESS_CONTROL_PLANE_ID"] == "9f0c"
    assert env["KEYLESS_HOST_NAMESPACE"] == "mxp-9f0c-system"
    assert env["KEYLESS_SPOOL_PERSISTENT"] == "true"
    assert env["MALLOC_ARENA_MAX"] == "1"
    assert env["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}


def test_the_collector_is_told_which_labels_to_record_where_any_are_chosen() -> None:
    plain = _env(components.vector(Values(billing=BILLING), PLACE, volume=True))
    assert not {"KEYLESS_DIMENSION_LABELS", "KEYLESS_DIMENSIONS_LIMIT", "KEYLESS_FLUSH_SECONDS"} & set(plain)
    chosen = replace(BILLING, dimension_labels=("team", "example.org/cost-centre"), combinations=500, flush_seconds=60)
    env = _env(components.vector(Values(billing=chosen), PLACE, volume=True))
    assert (env["KEYLESS_DIMENSION_LABELS"], env["KEYLESS_DIMENSIONS_LIMIT"]) == ("team,example.org/cost-centre", "500")
    assert env["KEYLESS_FLUSH_SECONDS"] == "60"
    capacity = Capacity(resource_hours=1000, first=date(2026, 1, 1), last=date(2026, 12, 31))
    env = _env(components.vector(Values(billing=BILLING, capacity=capacity), PLACE, volume=True))
    assert env == plain | {"KEYLESS_CAPACITY_FROM": "2026-01-01"}


def test_the_collector_signs_with_what_the_values_name_and_starts_though_the_secret_is_not_there_yet() -> None:
    plain = components.vector(Values(billing=BILLING), PLACE, volume=True)
    kms = components.vector(Values(billing=replace(BILLING, signing_kms="alias/billing")), PLACE, volume=True)
    assert _env(kms) == _env(plain) | {"KEYLESS_BILLING_SIGNING_KMS_KEY_ID": "alias/billing"}
    file = components.vector(Values(billing=replace(BILLING, signing_secret="billing-key")), PLACE, volume=True)
    assert _env(file) == _env(plain) | {"KEYLESS_BILLING_SIGNING_KEY_FILE": "/etc/keyless/signing/signing.key"}
    spec = _pod(file)
    [volume] = [each for each in spec["volumes"] if each["name"] == "signing"]
    assert volume["secret"] == {"secretName": "billing-key", "optional": True}
    [mount] = [each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "signing"]
    assert mount["mountPath"] == "/etc/keyless/signing"


def test_the_collector_is_told_what_every_object_is_to_carry_and_only_what_differs() -> None:
    plain = _env(components.vector(Values(billing=BILLING), PLACE, volume=True))
    said = {
        "KEYLESS_BILLING_SERVER_SIDE_ENCRYPTION": "aws:kms",
        "KEYLESS_BILLING_SSEKMS_KEY_ID": "alias/mine",
        "KEYLESS_BILLING_EXPECTED_BUCKET_OWNER": "111122223333",
        "KEYLESS_BILLING_ACL": "bucket-owner-full-control",
        "KEYLESS_BILLING_CHECKSUM_ALGORITHM": "CRC32",
        "KEYLESS_BILLING_ADDRESSING_STYLE": "virtual",
    }
    assert not said.keys() & plain.keys()
    writing = Writing("aws:kms", "alias/mine", "111122223333", "bucket-owner-full-control", "CRC32")
    chosen = replace(BILLING, writing=writing, addressing_style="virtual")
    env = _env(components.vector(Values(billing=chosen), PLACE, volume=True))
    assert env == plain | said
    texts = {name: text for name, text in env.items() if isinstance(text, str)}
    assert load(Settings, flags={}, environ=texts).writing == writing


def test_the_reader_of_secrets_is_told_its_own_scopes_and_only_what_differs() -> None:
    plain = components.external_secrets(Values(), PLACE)
    assert not {"KEYLESS_SCOPES", "KEYLESS_TENANT_STORES_MAY_USE_CONTROLLER_IDENTITY"} & set(_env(plain))
    mine, other = Scope(("team-a",), control_plane="ctp1"), Scope(("team-b",), control_plane="ctp2")
    env = _env(components.external_secrets(Values(scopes=(mine, other)), PLACE))
    assert from_text(str(env["KEYLESS_SCOPES"])) == (mine,)
    # Scopes that name no one here admit nothing, which is not the same as none at all.
    assert _env(components.external_secrets(Values(scopes=(other,)), PLACE))["KEYLESS_SCOPES"] == "[]"
    lending = Values(tenant_stores_may_use_controller_identity=True)
    told = _env(components.external_secrets(lending, PLACE))
    assert told["KEYLESS_TENANT_STORES_MAY_USE_CONTROLLER_IDENTITY"] == "true"


def test_a_scope_of_another_control_plane_restarts_nothing_here() -> None:
    before = Values(scopes=(Scope(("team-a",), control_plane="ctp1"),))
    after = Values(scopes=(*before.scopes, Scope(("team-b",), control_plane="ctp2")))
    assert components.external_secrets(before, PLACE) == components.external_secrets(after, PLACE)


def test_workload_identity_means_that_no_pod_names_a_key() -> None:
    for component in components.wanted(Values(billing=BILLING), PLACE, volume=False):
        assert not [name for name in _env(component) if name.startswith("AWS_")]


def test_a_secret_that_is_still_set_reaches_the_pod() -> None:
    env = _env(
        components.vector(Values(billing=Billing(True, "aws", "usage", secret="billing-storage")), PLACE, volume=False)
    )
    assert env["AWS_ACCESS_KEY_ID"] == {"secretKeyRef": {"name": "billing-storage", "key": "AWS_ACCESS_KEY_ID"}}


def test_annotations_are_the_accounts_and_never_the_pods() -> None:
    annotated = Values(billing=BILLING, vector=Workload(annotations={"eks.amazonaws.com/role-arn": "arn"}))
    plain = components.vector(Values(billing=BILLING), PLACE, volume=False)
    with_role = components.vector(annotated, PLACE, volume=False)
    assert with_role.before[0].object["metadata"]["annotations"]["eks.amazonaws.com/role-arn"] == "arn"
    assert with_role.deployment == plain.deployment


def test_labels_resources_and_scheduling_reach_the_pod_but_do_not_hide_it() -> None:
    workload = Workload(
        pod_labels={"team": "a", "app.kubernetes.io/name": "mine"},
        resources={"requests": {"cpu": "1"}},
        scheduling={"nodeSelector": {"disk": "ssd"}},
    )
    component = components.vector(Values(billing=BILLING, vector=workload), PLACE, volume=False)
    template = component.deployment.object["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "a"
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "vector"
    assert template["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}}
    assert template["spec"]["nodeSelector"] == {"disk": "ssd"}


def test_a_volume_makes_the_rollout_wait_for_the_old_pod() -> None:
    values = Values(billing=BILLING, persistence=Persistence(size="5Gi", storage_class="fast"))
    component = components.vector(values, PLACE, volume=True)
    assert component.volume is not None
    claim = component.volume.object["spec"]
    assert (claim["resources"]["requests"]["storage"], claim["storageClassName"]) == ("5Gi", "fast")
    assert component.deployment.object["spec"]["strategy"] == {"type": "Recreate"}
    assert _pod(component)["securityContext"]["fsGroup"]
    assert {"name": "spool", "persistentVolumeClaim": {"claimName": "vector-spool"}} in _pod(component)["volumes"]


def test_without_a_volume_the_spool_lives_as_long_as_the_pod() -> None:
    component = components.vector(Values(billing=BILLING), PLACE, volume=False)
    assert component.volume is None
    assert {"name": "spool", "emptyDir": {}} in _pod(component)["volumes"]
    assert component.deployment.object["spec"]["strategy"]["type"] == "RollingUpdate"


@pytest.mark.parametrize("name", components.NAMES)
def test_what_goes_is_what_came(name: str) -> None:
    values = Values(billing=BILLING, backup=Backup(enabled=True, bucket="snapshots"))
    built = {each.name: each for each in components.wanted(values, PLACE, volume=True, own=True)}[name]
    came = {each.key for each in built.before} | {built.kubeconfig}
    assert set(components.remains(name, PLACE)) == came
    assert components.remains(name, PLACE)[-1] == built.service_account, "the identity goes last"


def test_nobody_may_write_more_than_its_own_control_planes_status() -> None:
    for component in components.wanted(Values(billing=BILLING), PLACE, volume=False):
        rules = [
            rule for each in component.before if each.resource in (ROLES, CLUSTERROLES) for rule in each.object["rules"]
        ]
        for rule in rules:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            if "controlplanes/status" in rule["resources"]:
                assert rule["resourceNames"] == ["ctp1"]
        wide = [each for each in component.before if each.resource == CLUSTERROLES]
        assert all(rule["verbs"] == ["get", "list", "watch"] for each in wide for rule in each.object["rules"])


def test_what_the_values_say_of_syncing_reaches_the_controllers_settings() -> None:
    sync = SecretsSync(adopt_unowned=True, misses=5, seconds=60, percent=0, least=1)
    told = _env(components.external_secrets(Values(secrets_sync=sync), PLACE))
    environ = {name: value for name, value in told.items() if isinstance(value, str)}
    settings = load(SecretsSettings, flags={}, environ=environ)
    assert settings.adopt_unowned is True
    assert settings.deletion_guard == Guard(misses=5, seconds=60, percent=0, least=1)


def test_no_service_of_the_namespace_reaches_a_pod_s_environment() -> None:
    """A Service called keyless would set KEYLESS_PORT to an address, which is a setting of ours."""
    for each in components.wanted(Values(billing=BILLING), PLACE, volume=False):
        assert each.deployment.object["spec"]["template"]["spec"]["enableServiceLinks"] is False
