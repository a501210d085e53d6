"""What an object tells of itself, of Crossplane 1 and 2, and of whatever else an API may answer."""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.collector.describing import Composite, Traits, composite_of, meter_of, package_of, traits_of
from keyless.billing.ledger.model import Gvk, Meter

CONTROLLER = {"apiVersion": "example.org/v1", "kind": "XApp", "name": "app-x", "uid": "u-1", "controller": True}
LABELS = {
    "crossplane.io/composite": "app-x",
    "crossplane.io/claim-name": "app",
    "crossplane.io/claim-namespace": "shop",
    "team": "payments",
}


def test_a_composed_resource_tells_its_composite_claim_and_chosen_labels():
    obj = {"metadata": {"name": "vpc", "labels": LABELS, "ownerReferences": [{"uid": "u-0"}, CONTROLLER]}}
    found = traits_of(obj, Meter.MANAGED, ("team", "cost-centre"))
    assert (found.composite, found.claim, found.claim_namespace) == ("app-x", "app", "shop")
    assert (found.labels, found.owner, found.namespace, found.cut) == (("payments", None), "u-1", None, False)


def test_a_claim_tells_itself_its_composite_and_composition():
    spec = {"resourceRef": {"name": "app-x"}, "compositionRef": {"name": "web"}}
    found = traits_of({"metadata": {"name": "app", "namespace": "shop"}, "spec": spec}, Meter.CLAIM, ())
    assert (found.claim, found.claim_namespace, found.composite, found.composition) == ("app", "shop", "app-x", "web")


REFS = [
    {"apiVersion": "ec2.aws.upbound.io/v1beta1", "kind": "VPC", "name": "a"},
    {"apiVersion": "ec2.aws.upbound.io/v1beta1", "kind": "VPC", "name": "b"},
    {"apiVersion": "v1", "kind": "ConfigMap", "name": "c"},
    {"apiVersion": "v1", "kind": "Secret"},
]
PARTS = ((Gvk("", "v1", "ConfigMap"), 1), (Gvk("ec2.aws.upbound.io", "v1beta1", "VPC"), 2))


@pytest.mark.parametrize("nested", [False, True], ids=["Crossplane 1", "Crossplane 2"])
def test_a_composite_tells_its_composition_and_its_parts(nested):
    spec = {"compositionRef": {"name": "web"}, "resourceRefs": REFS}
    metadata = {"name": "app-x", "uid": "u-1", "ownerReferences": [{**CONTROLLER, "uid": "u-9"}]}
    obj = {"metadata": metadata, "spec": {"crossplane": spec, "size": 3} if nested else spec}
    assert composite_of(obj) == Composite("u-1", "app-x", "web", "u-9", PARTS)
    found = traits_of(obj, Meter.COMPOSITE, ())
    assert (found.owner, found.composite) == ("u-1", "app-x")


@pytest.mark.parametrize(
    ("name", "categories", "expected"),
    [
        ("vpcs.ec2.aws.upbound.io", ["crossplane", "managed", "aws"], Meter.MANAGED),
        ("xapps.example.org", ["composite"], Meter.COMPOSITE),
        ("apps.example.org", ["claim"], Meter.CLAIM),
        ("operations.ops.crossplane.io", ["crossplane"], Meter.OPERATION),
        ("cronoperations.ops.crossplane.io", ["crossplane"], None),
        ("providerconfigs.aws.upbound.io", ["crossplane", "provider", "aws"], None),
    ],
)
def test_a_definition_says_what_its_instances_count_as(name, categories, expected):
    assert meter_of(name, categories) is expected


def owner(kind, name, api="pkg.crossplane.io/v1"):
    return {"apiVersion": api, "kind": kind, "name": name}


@pytest.mark.parametrize(
    ("owners", "expected"),
    [
        (
            [owner("ProviderRevision", "provider-aws-ec2-1a2b"), owner("Provider", "provider-aws-ec2")],
            "provider-aws-ec2",
        ),
        ([owner("ProviderRevision", "provider-aws-ec2-1a2b")], "provider-aws-ec2-1a2b"),
        ([owner("Provider", "other", "example.org/v1")], None),
        ([], None),
        (None, None),
    ],
)
def test_a_definitions_package_is_told_by_its_owners(owners, expected):
    assert package_of({"ownerReferences": owners}) == expected


LEAVES = st.sampled_from(
    [None, True, 3, "", "x", [], {}, [None], ["x"], {"name": 3}, {"name": "n"}, [{"controller": True}]]
)
PLACES = ("labels", "name", "uid", "ownerReferences", "crossplane", "resourceRefs", "compositionRef", "resourceRef")
JSON = LEAVES | st.dictionaries(st.sampled_from([*PLACES, "team"]), LEAVES, max_size=5)


@effort(30)
@given(st.dictionaries(st.sampled_from(["metadata", "spec"]), JSON), st.sampled_from(Meter))
def test_whatever_an_api_answers_is_told_or_unknown(obj, meter):
    found = traits_of(obj, meter, ("team",))
    assert all(value is None or isinstance(value, str) for value in (found.composite, found.claim, *found.labels))
    assert isinstance(composite_of(obj).uid, str)
    hash((found, composite_of(obj)))
    package_of({"ownerReferences": obj.get("metadata")})


def test_a_value_that_is_too_long_is_unknown_and_says_so():
    found = traits_of({"metadata": {"labels": {"team": "x" * 254}}}, Meter.MANAGED, ("team",))
    assert (found.labels, found.cut) == ((None,), True)


@given(st.lists(st.none() | st.sampled_from(["a", "b"]), min_size=5, max_size=5), st.booleans())
@effort(40)
def test_values_that_keep_their_hash_are_as_equal_as_values_that_do_not(names, cut):
    def made():
        return Traits(*names[:4], labels=(names[4],), owner="u", cut=cut)

    one, other = made(), made()
    assert hash(one) == hash(one) == hash(other) == hash(replace(one))
    assert one == other
    assert len({one, other, copy(one), deepcopy(one), replace(one, owner="v")}) == 2
    assert repr(one) == repr(other)
    assert "hash" not in repr(one)
