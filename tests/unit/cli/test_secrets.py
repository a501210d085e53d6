"""``keyless secrets``: what a template makes of sample values, and manifests of older versions as v1."""

import json

import pytest
import yaml

from keyless.cli import dispatch, exits
from keyless.shared_secrets.conversion import convert

MANIFESTS = """
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: db, namespace: app}
spec:
  secretStoreRef: {name: s}
  target:
    name: creds
    template:
      type: kubernetes.io/basic-auth
      metadata: {labels: {team: "{{ .team }}"}}
      data: {url: "postgres://{{ .user }}:{{ .password | urlquery }}@h"}
      templateFrom: [{configMap: {name: c, items: [{key: more, templateAs: KeysAndValues}]}}]
  data: [{secretKey: user, remoteRef: {key: x}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {more: "upper: {{ .user | upper }}"}
"""
VALUES = {"user": "ada", "password": "a b", "team": "blue"}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "es.yaml").write_text(MANIFESTS)
    (tmp_path / "data.json").write_text(json.dumps(VALUES))
    return tmp_path


def run(*arguments):
    return dispatch(["secrets", *map(str, arguments)])


def test_a_template_is_rendered_with_its_sources_from_the_same_file(files, capsys):
    assert run("render", files / "es.yaml", "--data", files / "data.json") == exits.HELD
    assert yaml.safe_load(capsys.readouterr().out) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "creds", "labels": {"team": "blue"}},
        "type": "kubernetes.io/basic-auth",
        "stringData": {"upper": "ADA", "url": "postgres://ada:a+b@h"},
    }


@pytest.mark.parametrize(
    ("text", "values", "code", "words"),
    [
        (MANIFESTS.replace(".user |", ".usr |"), VALUES, exits.DID_NOT_HOLD, "known names"),
        (MANIFESTS.replace("name: c, items", "name: d, items"), VALUES, exits.DID_NOT_HOLD, "there is no such key"),
        (MANIFESTS, {"user": 1}, exits.WRONG_USE, "quote numbers"),
        (MANIFESTS + "---\n" + MANIFESTS, VALUES, exits.WRONG_USE, "expected one ExternalSecret, found db, db"),
        ("a: [", VALUES, exits.WRONG_USE, "is no YAML"),
        ("", VALUES, exits.WRONG_USE, "expected manifests, found none"),
    ],
)
def test_what_cannot_be_rendered_says_what_to_change(files, capsys, text, values, code, words):
    (files / "es.yaml").write_text(text)
    (files / "data.json").write_text(json.dumps(values))
    assert run("render", files / "es.yaml", "--data", files / "data.json") == code
    assert words in " ".join(capsys.readouterr().err.replace("│", " ").split())


OLD = {
    "apiVersion": "external-secrets.io/v1alpha1",
    "kind": "ExternalSecret",
    "metadata": {"name": "db"},
    "spec": {
        "secretStoreRef": {"name": "s"},
        "target": {"template": {"data": {"a": "{{ .x | toString }}", "b": "{{ genCA }}"}}},
        "dataFrom": [{"key": "all", "version": "v"}],
    },
    "status": {"refreshTime": "x"},
}


def test_an_older_external_secret_becomes_v1_with_notes_of_what_differs():
    made = convert(OLD)
    assert made.changed
    assert "status" not in made.object
    assert made.object["apiVersion"] == "external-secrets.io/v1"
    assert made.object["spec"]["dataFrom"] == [{"extract": {"key": "all", "version": "v"}}]
    notes = "\n".join(made.notes)
    assert "engine v1 is gone" in notes
    assert "function 'genCA' is not available" in notes


@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1", "v1"])
def test_what_is_v1_already_is_left_and_a_second_conversion_changes_nothing(version):
    made = convert({**OLD, "apiVersion": f"external-secrets.io/{version}"} if version == "v1alpha1" else {
        **OLD, "apiVersion": f"external-secrets.io/{version}", "spec": convert(OLD).object["spec"]
    })  # fmt: skip
    again = convert(made.object)
    assert (again.object, again.changed) == (made.object, False)


@pytest.mark.parametrize(
    ("obj", "words"),
    [
        ({"apiVersion": "v1", "kind": "Secret"}, "left as it is"),
        ({"apiVersion": "external-secrets.io/v1alpha1", "kind": "PushSecret"}, "not implemented"),
        (
            {"apiVersion": "external-secrets.io/v1beta1", "kind": "SecretStore", "spec": {"provider": {"vault": {}}}},
            "expected aws, found vault",
        ),
        (
            {
                "apiVersion": "external-secrets.io/v1beta1",
                "kind": "SecretStore",
                "spec": {"provider": {"aws": {"service": "SecretsManager", "region": "us-west-2"}}},
            },
            "auth is missing",
        ),
        ({**OLD, "spec": {"data": [{"secretKey": "a", "remoteRef": {"key": "x"}}]}}, "secretStoreRef.name is missing"),
        ({**OLD, "spec": {"secretStoreRef": {"name": "s"}, "data": [{}]}}, "a field that is needed is missing"),
    ],
)
def test_what_is_done_otherwise_is_noted(obj, words):
    assert words in " ".join(convert(obj).notes)


def test_the_command_prints_manifests_that_can_be_applied_and_notes_apart(files, capsys):
    (files / "old.yaml").write_text(yaml.safe_dump_all([OLD, {"apiVersion": "v1", "kind": "List", "items": [OLD]}]))
    assert run("convert", files / "old.yaml") == exits.HELD
    said = capsys.readouterr()
    assert [one["apiVersion"] for one in yaml.safe_load_all(said.out)] == ["external-secrets.io/v1"] * 2
    assert said.err.count("note: ExternalSecret 'db': ") == len(convert(OLD).notes) * 2
