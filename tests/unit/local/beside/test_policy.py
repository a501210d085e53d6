"""What the policy tells pods; that a real API server takes it is proven in ``tests/production``."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.api import Permanent
from keyless.local.beside.place import names_of
from keyless.local.beside.pods import NAME, SKIP_LABEL, environment
from keyless.local.beside.policy import policy_objects as objects
from keyless.local.beside.settings import Settings
from keyless.local.cloud.eks.agent import CA_ANNOTATION

URL = "https://10.0.0.7:8443"


def test_the_policy_is_in_force_for_new_pods_but_the_cluster_s_own_and_those_that_skip_it() -> None:
    (_, policy), (_, binding) = objects(environment(URL, "eu-west-1"), "PEM")
    assert binding["spec"] == {"policyName": policy["metadata"]["name"]}
    constraints = policy["spec"]["matchConstraints"]
    (rule,) = constraints["resourceRules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])
    assert constraints["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system"]
    assert constraints["objectSelector"]["matchExpressions"] == [{"key": SKIP_LABEL, "operator": "DoesNotExist"}]
    assert policy["spec"]["failurePolicy"] == "Fail"


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=40))
def test_whatever_is_told_stays_one_literal_of_the_expression(text: str) -> None:
    (_, policy), _ = objects(environment(URL, "r"), text)
    applied = policy["spec"]["mutations"][0]["applyConfiguration"]["expression"]
    literal = re.search(rf'"{re.escape(CA_ANNOTATION)}": ("(?:[^"\\]|\\.)*")', applied)
    assert literal is not None
    assert json.loads(literal[1]) == text


def test_every_container_is_told_the_endpoint_and_its_authority() -> None:
    (_, policy), _ = objects(environment(URL, "eu-west-1"), "PEM")
    (variables,) = policy["spec"]["variables"]
    told = json.loads(variables["expression"])
    assert {one["name"]: one["value"] for one in told} == {
        "AWS_ENDPOINT_URL": URL,
        "AWS_ENDPOINT_URL_STS": URL,
        "AWS_CA_BUNDLE": "/var/run/secrets/cloud.keyless.dev/ca.crt",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    applied, volume = policy["spec"]["mutations"]
    for kind in ("containers", "initContainers"):
        assert f"object.spec.{kind}" in applied["applyConfiguration"]["expression"]
    assert f'name: "{NAME}"' in volume["jsonPatch"]["expression"]


def test_pods_are_never_told_a_plain_endpoint() -> None:
    with pytest.raises(Permanent, match=r"--pods-endpoint 'http://10\.0\.0\.7': expected a URL that begins with https"):
        names_of(Settings("s", pods_endpoint="http://10.0.0.7"))
