"""Built-in objects: what typed clients send, what is defaulted, what is refused, as a real API server does."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from conformance.kubernetes.replay import differences, kind_of, plain, recording
from keyless.local.cluster.builtin import KINDS, default, normalize, unknown_fields, validate
from keyless.local.cluster.faults import FieldError, Malformed
from keyless.local.cluster.protobuf import decode

REVIEWS = {"SelfSubjectAccessReview", "SelfSubjectReview", "SelfSubjectRulesReview"}
# Filled in by the API server's allocators, controllers and admission plugins, or knowingly left out.
NOT_OURS = {
    "Service": {".spec.clusterIP", ".spec.clusterIPs", ".spec.ipFamilies", ".spec.ipFamilyPolicy"}
    | {f".spec.ports[{index}].nodePort" for index in range(2)},
    "Job": {".metadata.labels", ".spec.selector", ".spec.template.metadata.labels"},
    "DaemonSet": {".metadata.annotations"},
    "PersistentVolumeClaim": {".metadata.finalizers"},
    "PersistentVolume": {".metadata.finalizers", ".status.lastPhaseTransitionTime"},
    "ClusterRole": {".rules"},
    "Node": {".spec.taints"},
}


def label(case: dict[str, Any]) -> str:
    path = case.get("path", "").partition("?")[0]
    return f"{case.get('method', '')} {path.removeprefix('/apis').removeprefix('/api')}"


def made(obj: dict[str, Any]) -> dict[str, Any]:
    group, version, kind = kind_of(obj)
    return default(group, kind, normalize(group, version, kind, obj))


@pytest.mark.parametrize("case", recording("protobuf"), ids=label)
def test_a_protobuf_body_is_the_object_that_the_server_made_of_it(case: dict[str, Any]) -> None:
    obj = decode(b64decode(case["body"]))
    if obj["kind"] == "DeleteOptions":
        return
    found = set(differences(plain(made(obj)), plain(case["answer"])))
    if obj["kind"] in REVIEWS:
        found = {path for path in found if not path.startswith((".status", ".spec.namespace"))}
    assert found <= NOT_OURS.get(obj["kind"], set())


@pytest.mark.parametrize("case", recording("defaults"), ids=lambda case: case["sent"]["kind"])
def test_defaults_are_those_of_the_server(case: dict[str, Any]) -> None:
    sent = case["sent"]
    assert unknown_fields(*kind_of(sent), sent) == []
    ours = made(sent)
    assert set(differences(plain(ours), plain(case["answer"]))) <= NOT_OURS.get(sent["kind"], set())
    assert made(ours) == ours


def first_lines(errors: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Go's page-long values and differences are cut; faults that Kubernetes finds twice count once."""
    cut = [(path, reason, text.split("\n")[0].split("; changed here")[0]) for path, reason, text in errors]
    return list(dict.fromkeys(cut))


# Where we say it in our own words, or are stricter on purpose.
OWN_WORDS = {"no JSON", "Invalid value: field is immutable"}


@pytest.mark.parametrize("case", recording("validation"), ids=lambda case: f"{case['op']} {case['sent']['kind']}")
def test_faults_have_the_server_s_fields_reasons_and_sentences(case: dict[str, Any]) -> None:
    sent = case["sent"]
    group, _, kind = kind_of(sent)
    if next(found for found in KINDS if (found.group, found.kind) == (group, kind)).namespaced:
        sent = {**sent, "metadata": {**sent["metadata"], "namespace": "hb2"}}
    try:
        errors = validate(group, kind, made(sent), made(case["old"]) if case.get("old") else None)
    except Malformed as refusal:
        assert_is_said(str(refusal), case)
        return
    causes = (case["answer"].get("details") or {}).get("causes", [])
    ours = first_lines([(error.path, error.reason, error.body) for error in errors])
    theirs = first_lines([(cause["field"], cause["reason"], cause["message"]) for cause in causes])
    if own_words(errors) or stricter(case):
        assert errors
    else:
        assert ours == theirs


def assert_is_said(text: str, case: dict[str, Any]) -> None:
    assert case["status"] == 400
    assert text in case["answer"]["message"]


def own_words(errors: list[FieldError]) -> bool:
    return any(word in error.body for error in errors for word in OWN_WORDS)


def stricter(case: dict[str, Any]) -> bool:
    """1.32 takes StatefulSets without containers; and two spellings of one base64 value as no change."""
    spec = case["sent"].get("spec") or {}
    headless = case["sent"]["kind"] == "StatefulSet" and spec.get("template", {}).get("spec") == {}
    return headless or (case["sent"]["kind"] == "Secret" and case["status"] == 200)
