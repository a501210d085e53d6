"""Normal form, unknown fields, quantities and defaults of built-in kinds."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.local.cluster.builtin import KINDS, default, normalize, unknown_fields, validate
from keyless.local.cluster.builtin.quantity import canonical, value
from keyless.local.cluster.builtin.types import struct_of
from keyless.local.cluster.faults import Malformed


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": spec}


def test_every_served_kind_has_a_type() -> None:
    assert [kind.kind for kind in KINDS if struct_of(kind.group, kind.version, kind.kind) is None] == []


def test_plurals_and_short_names_are_told_apart_within_a_group() -> None:
    plurals = [(kind.group, kind.version, kind.plural) for kind in KINDS]
    assert len(plurals) == len(set(plurals))


def test_unknown_fields_are_named_with_their_place() -> None:
    obj = pod(containers=[{"name": "c", "bogus": 1, "env": [{"name": "a", "x": 1}]}], also=1)
    found = unknown_fields("", "v1", "Pod", {**obj, "extra": {}, "metadata": {"name": "p", "labls": {}}})
    assert found == ["metadata.labls", "spec.containers[0].bogus", "spec.containers[0].env[0].x", "spec.also", "extra"]


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (
            pod(containers={}),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            pod(hostNetwork="yes"),
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            pod(priority=1 << 40),
            f"json: cannot unmarshal number {1 << 40} into Go struct field PodSpec.spec.priority of type int32",
        ),
        (pod(overhead={"cpu": "x"}), "quantities must match the regular expression"),
        (
            {**pod(), "metadata": {"labels": {"a": 1}}},
            "cannot unmarshal number into Go struct field ObjectMeta.metadata.labels",
        ),
        ({**pod(), "metadata": {"deletionTimestamp": "soon"}}, 'parsing time "soon"'),
    ],
)
def test_a_value_of_another_type_is_refused_in_go_s_words(obj: dict[str, Any], text: str) -> None:
    with pytest.raises(Malformed) as refusal:
        normalize("", "v1", "Pod", obj)
    assert str(refusal.value).startswith(text) or text in str(refusal.value)


def test_a_secret_s_value_is_not_repeated_when_it_is_no_base64() -> None:
    with pytest.raises(Malformed) as refusal:
        normalize("", "v1", "Secret", {"kind": "Secret", "data": {"password": "p%aintext"}})
    assert "aintext" not in str(refusal.value)


def test_normal_form_is_stable_and_leaves_its_argument_alone() -> None:
    obj = pod(containers=[{"name": "c", "image": "", "stdin": False, "resources": {"limits": {"cpu": "1000m"}}}])
    once = normalize("", "v1", "Pod", obj)
    assert normalize("", "v1", "Pod", once) == once
    assert once["spec"]["containers"] == [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]
    assert obj["spec"]["containers"][0]["stdin"] is False


def test_a_kind_without_type_passes_through() -> None:
    obj = {"apiVersion": "example.com/v1", "kind": "Foo", "anything": [None]}
    assert normalize("example.com", "v1", "Foo", obj) is obj
    assert default("example.com", "Foo", obj) is obj
    assert unknown_fields("example.com", "v1", "Foo", obj) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("1000", "1k"),
        ("0", "0"),
        ("1e3", "1e3"),
        ("0.5Gi", "512Mi"),
        ("100Ki", "100Ki"),
        ("-1.5", "-1500m"),
        ("0.0000000001", "1n"),
        ("512", "512"),
        ("1.5Ki", "1536"),
        ("+5", "5"),
    ],
)
def test_a_quantity_has_one_form(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert value(canonical(text)) == value(text)


@pytest.mark.parametrize("text", ["", "x", "1x", "1 Gi", "--1", "1e", "1Gib", ".", "9" * 80])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        canonical(text)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("keyless/keyless:0.1.0", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_an_image_is_pulled_always_only_when_its_tag_is_latest(image: str, policy: str) -> None:
    made = default("", "Pod", pod(containers=[{"name": "c", "image": image}]))
    assert made["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_plain_text_of_a_secret_is_stored_encoded_and_wins() -> None:
    made = default("", "Secret", {"kind": "Secret", "stringData": {"a": "new"}, "data": {"a": "b2xk", "b": "b2xk"}})
    assert made["data"] == {"a": "bmV3", "b": "b2xk"}
    assert "stringData" not in made


def test_the_alias_of_the_service_account_follows_its_name() -> None:
    made = default("", "Pod", pod(serviceAccount="vector", containers=[]))
    assert made["spec"]["serviceAccountName"] == made["spec"]["serviceAccount"] == "vector"


@pytest.mark.parametrize(
    ("limits", "requests", "quality"),
    [
        ({}, {}, "BestEffort"),
        ({"cpu": "1"}, {}, "Burstable"),
        ({"cpu": "1", "memory": "1Gi"}, {}, "Guaranteed"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "500m"}, "Burstable"),
    ],
)
def test_the_quality_of_service_follows_the_resources(
    limits: dict[str, str], requests: dict[str, str], quality: str
) -> None:
    resources = {"limits": limits, "requests": requests}
    made = default("", "Pod", pod(containers=[{"name": "c", "image": "i:1", "resources": resources}]))
    assert made["status"]["qosClass"] == quality


def test_a_frozen_secret_keeps_its_data_and_says_no_value() -> None:
    old = {"kind": "Secret", "metadata": {"name": "s"}, "type": "Opaque", "immutable": True, "data": {"a": "c2VjcmV0"}}
    errors = validate("", "Secret", {**old, "data": {"a": "b3RoZXI="}}, old)
    assert [error.message for error in errors] == ["data: Forbidden: field is immutable when `immutable` is set"]


def test_a_bound_claim_may_grow_and_the_binder_may_name_the_volume() -> None:
    old = {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    named = {**old, "spec": {**old["spec"], "volumeName": "v"}}
    assert validate("", "PersistentVolumeClaim", named, old) == []
    bound = {**named, "status": {"phase": "Bound"}}
    grown = {**bound, "spec": {**named["spec"], "resources": {"requests": {"storage": "2Gi"}}}}
    assert validate("", "PersistentVolumeClaim", grown, bound) == []
    assert validate("", "PersistentVolumeClaim", {**bound, "spec": {**named["spec"], "volumeName": "w"}}, bound) != []
