"""What manifests will ask of AWS: how often, for how much, and with exactly which rights."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from keyless.cli import dispatch, exits
from keyless.shared_secrets.explaining import Call, Place, explain, is_proven, policy_of
from keyless.shared_secrets.sync.model import SpecFault

PLACE = Place("444455556666")
AT = "arn:aws:secretsmanager:us-west-2:444455556666:secret"
PARAMETER = "arn:aws:ssm:us-west-2:444455556666:parameter"
KEYS = st.lists(st.sampled_from(["a", "a/b", "b", "prod/x", "prod/y"]), min_size=1, max_size=4)


def store(kind="ClusterSecretStore", name="aws", service="SecretsManager", **more):
    provider = {"aws": {"service": service, "region": "us-west-2", **more}}
    return {"kind": kind, "metadata": {"name": name}, "spec": {"provider": provider}}


def external(*keys, store="aws", name="db", **spec):
    data = [{"secretKey": f"k{n}", "remoteRef": {"key": key}} for n, key in enumerate(keys)]
    ref = {"name": store, "kind": "ClusterSecretStore"}
    spec = {"secretStoreRef": ref, "refreshInterval": "1h", **({"data": data} if data else {}), **spec}
    return {"kind": "ExternalSecret", "metadata": {"name": name, "namespace": "app"}, "spec": spec}


def only(*objects, place=PLACE):
    (found,) = explain(objects, place)
    return found


def test_the_policy_is_exactly_what_is_called():
    found = only(store(prefix="prod/"), external("db", "api"))
    resources = [f"{AT}:prod/api-??????", f"{AT}:prod/db-??????"]
    statement = {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": resources}
    assert found.policy == {"Version": "2012-10-17", "Statement": [statement]}
    assert found.proven


def test_one_thing_that_many_read_at_one_interval_is_one_call():
    many = [external("db", name=f"e{n}") for n in range(100)]
    assert only(store(), *many).calls_an_hour == 1
    assert only(store(), *many, external("db", refreshInterval="1m")).calls_an_hour == 61
    assert only(store(), *many, place=Place("444455556666", copies=7)).calls_an_hour == 7


@pytest.mark.parametrize(
    ("service", "action", "resource", "batched"),
    [
        ("SecretsManager", "secretsmanager:BatchGetSecretValue", ["*"], 2),
        ("ParameterStore", "ssm:GetParameters", None, 3),
    ],
)
def test_a_broader_right_is_named_with_what_it_saves(service, action, resource, batched):
    found = only(store(service=service), external(*(f"p{n}" for n in range(25))))
    assert (found.calls_an_hour, found.batched_calls_an_hour) == (25, batched)
    assert found.broader["Action"] == [action]
    assert found.broader["Resource"] == (resource or found.policy["Statement"][0]["Resource"])
    assert only(store(), external("one")).broader is None


def test_the_price_is_secrets_manager_s_and_parameter_store_is_free():
    assert only(store(), external("a", refreshInterval="1m")).document()["dollarsPerMonth"] == 0.219
    assert only(store(service="ParameterStore"), external("a")).document()["dollarsPerMonth"] == 0


def test_searches_metadata_and_versions_have_their_own_rights():
    spec = {"dataFrom": [{"find": {"path": "prod/"}}, {"extract": {"key": "x", "metadataPolicy": "Fetch"}}]}
    found = only(store(), external("prod/db", **spec))
    allowed = {(action, *one["Resource"]) for one in found.policy["Statement"] for action in one["Action"]}
    assert allowed == {
        ("secretsmanager:ListSecrets", "*"),
        ("secretsmanager:GetSecretValue", f"{AT}:prod/*"),
        ("secretsmanager:DescribeSecret", f"{AT}:x-??????"),
    }
    assert found.finds
    assert found.proven


def test_shared_and_cluster_wide_manifests_are_read_as_what_they_become():
    shared = store("SharedSecretStore", "ours")
    shared["spec"]["secretStoreName"] = "aws"
    inner = external("/db/password:3")["spec"]
    shared["spec"]["provider"]["aws"]["service"] = "ParameterStore"
    both = [
        {"kind": k, "metadata": {"name": k}, "spec": {"externalSecretSpec": inner}} for k in ("SharedExternalSecret",)
    ]
    found = only(shared, *both)
    assert [(call.action, call.resource) for call in found.calls] == [("ssm:GetParameter", f"{PARAMETER}/db/password")]


def test_what_is_not_read_by_the_clock_costs_nothing_an_hour():
    for spec in ({"refreshInterval": "0"}, {"refreshPolicy": "OnChange"}, {"refreshPolicy": "CreatedOnce"}):
        found = only(store(), external("a", **spec))
        assert found.calls_an_hour == 0
        assert any("by the clock" in note for note in found.notes)


def test_the_proof_fails_when_a_right_is_missing_or_one_too_many():
    calls = [Call("ssm:GetParameter", f"{PARAMETER}/a"), Call("ssm:GetParameter", f"{PARAMETER}/b")]
    assert is_proven(policy_of(calls), calls)
    assert not is_proven(policy_of(calls[:1]), calls)
    assert not is_proven(policy_of([*calls, Call("ssm:GetParameter", f"{PARAMETER}/c")]), calls)
    assert not is_proven(policy_of([*calls, Call("ssm:PutParameter", f"{PARAMETER}/a")]), calls)


@given(KEYS, st.booleans(), st.sampled_from(["", "prod/", "a"]), st.sampled_from(["SecretsManager", "ParameterStore"]))
def test_whatever_is_asked_for_is_proven(keys, searches, path, service):
    spec = {"dataFrom": [{"find": {"name": {"regexp": "."}, "path": path}}]} if searches else {}
    found = only(store(service=service), external(*keys, **spec))
    assert found.proven
    assert found.batched_calls_an_hour <= found.calls_an_hour


def test_a_manifest_that_cannot_be_read_is_named():
    with pytest.raises(SpecFault, match="ExternalSecret db: "):
        explain([store(), external("a", refreshInterval="soon")], PLACE)
    with pytest.raises(SpecFault, match="ClusterSecretStore aws: "):
        explain([store(region="nowhere")], PLACE)


def test_the_command_says_it(tmp_path, capsys):
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all([store(), external("a", "b")]))
    assert dispatch(["secrets", "explain", str(file), "-o", "json"]) == exits.HELD
    (one,) = json.loads(capsys.readouterr().out)["items"]
    assert (one["callsPerHour"], one["proven"], one["broader"]["callsPerHour"]) == (2, True, 1)
    assert dispatch(["secrets", "explain", str(file)]) == exits.HELD
    assert "each call is allowed, and nothing could be left out" in capsys.readouterr().out
    assert dispatch(["secrets", "explain", str(file), "--account", "12"]) == exits.WRONG_USE
    file.write_text(yaml.safe_dump_all([store(), external("a", data=[{}])]))
    assert dispatch(["secrets", "explain", str(file)]) == exits.DID_NOT_HOLD


def push(*data, kind="ClusterSecretStore", **spec):
    items = [{"match": {"secretKey": "k", "remoteRef": {"remoteKey": one}}} for one in data]
    spec = {"secretStoreRefs": [{"name": "aws", "kind": kind}], "selector": {"secret": {"name": "s"}}, **spec}
    return {"kind": "PushSecret", "metadata": {"name": "p", "namespace": "app"}, "spec": {"data": items, **spec}}


SM, SSM = "secretsmanager", "ssm"


@pytest.mark.parametrize(
    ("service", "spec", "actions"),
    [
        ("SecretsManager", {}, [f"{SM}:CreateSecret", f"{SM}:DescribeSecret", f"{SM}:GetSecretValue",
                                f"{SM}:PutSecretValue", f"{SM}:TagResource"]),
        ("SecretsManager", {"updatePolicy": "IfNotExists", "deletionPolicy": "Delete"},
         [f"{SM}:CreateSecret", f"{SM}:DeleteSecret", f"{SM}:DescribeSecret", f"{SM}:GetSecretValue",
          f"{SM}:TagResource"]),
        ("ParameterStore", {"deletionPolicy": "Delete"},
         [f"{SSM}:AddTagsToResource", f"{SSM}:DeleteParameter", f"{SSM}:GetParameter", f"{SSM}:ListTagsForResource",
          f"{SSM}:PutParameter"]),
    ],
)  # fmt: skip
def test_a_push_needs_a_look_by_the_clock_and_the_rights_to_write(service, spec, actions):
    found = only(store(service=service, prefix="x/"), push("out", **spec))
    resource = f"{AT}:x/out-??????" if service == "SecretsManager" else f"{PARAMETER}/x/out"
    statement = {"Effect": "Allow", "Action": actions, "Resource": [resource]}
    assert found.policy == {"Version": "2012-10-17", "Statement": [statement]}
    assert (found.calls_an_hour, found.proven) == (2, True)


def test_a_push_reaches_stores_by_their_labels_and_nothing_else():
    labelled = store()
    labelled["metadata"]["labels"] = {"team": "x"}
    refs = [{"kind": "ClusterSecretStore", "labelSelector": {"matchLabels": {"team": "x"}}}]
    (found,) = explain([labelled, store(name="other"), push("out", secretStoreRefs=refs)], PLACE)
    assert found.store == "ClusterSecretStore aws"
    with pytest.raises(SpecFault, match="PushSecret p: data"):
        explain([store(), push()], PLACE)


def test_a_registry_token_is_a_call_of_each_that_asks_for_one():
    made = {"kind": "ECRAuthorizationToken", "metadata": {"name": "ecr", "namespace": "app"}, "spec": {}}
    ref = {"kind": "ECRAuthorizationToken", "name": "ecr"}
    spec = {"dataFrom": [{"sourceRef": {"generatorRef": ref}}], "refreshInterval": "6h"}
    found = only(made, external(name="a", **spec), external(name="b", **spec))
    assert found.policy["Statement"] == [
        {"Effect": "Allow", "Action": ["ecr:GetAuthorizationToken"], "Resource": ["*"]}
    ]
    assert (found.calls_an_hour, found.proven, found.document()["dollarsPerMonth"]) == (2 / 6, True, 0)
    assert explain([made], PLACE) == []
