"""What the webhook tells pods of any shape; that a policy tells them the same is in ``tests/conformance/told_pods``."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from keyless.local.beside.pods import NAME, environment, patch, variables
from keyless.local.cloud.eks.agent import CA_ANNOTATION, CA_FOLDER
from keyless.local.cluster.patches.json_patch import json_patch

ENVIRON = environment("https://10.0.0.7", "eu-west-1", "http://10.0.0.7")
TOLD = {one["name"]: one["value"] for one in variables(ENVIRON)}
NAMES = st.sampled_from([*TOLD, "HOME", "A", "B"])
ENV = st.lists(st.builds(lambda name: {"name": name, "value": f"own {name}"}, NAMES), max_size=4)
PATHS = st.sampled_from([CA_FOLDER, "/data", "/tmp/x"])
MOUNTS = st.lists(PATHS, unique=True, max_size=3).map(
    lambda paths: [{"name": "data", "mountPath": path} for path in paths]
)
CONTAINERS = st.lists(st.fixed_dictionaries({}, optional={"env": ENV, "volumeMounts": MOUNTS}), min_size=1, max_size=3)
SPECS = st.fixed_dictionaries(
    {"containers": CONTAINERS},
    optional={
        "initContainers": CONTAINERS,
        "volumes": st.lists(st.sampled_from(["data", NAME]), unique=True).map(
            lambda names: [{"name": one} for one in names]
        ),
    },
)
ANNOTATIONS = st.dictionaries(st.sampled_from(["a", "b/c", "d~e", CA_ANNOTATION]), st.text(max_size=3), max_size=3)
PODS = st.fixed_dictionaries(
    {"spec": SPECS}, optional={"metadata": st.fixed_dictionaries({}, optional={"annotations": ANNOTATIONS})}
)


def told(pod: dict[str, Any]) -> dict[str, Any]:
    # As an API server sends it: a Pod has metadata.
    asked = {"metadata": {}, **copy.deepcopy(pod)}
    return json_patch(asked, patch(asked, ENVIRON, "PEM"))


@given(PODS)
def test_every_container_has_what_leads_to_the_cloud_and_keeps_what_it_set_itself(pod: dict[str, Any]) -> None:
    made = told(pod)
    assert made["metadata"]["annotations"][CA_ANNOTATION] == "PEM"
    assert [one["name"] for one in made["spec"]["volumes"]].count(NAME) == 1
    for kind in ("containers", "initContainers"):
        for before, after in zip(pod["spec"].get(kind, ()), made["spec"].get(kind, ()), strict=True):
            own = before.get("env") or []
            assert after["env"][: len(own)] == own
            found = {one["name"]: one["value"] for one in after["env"]}
            assert found == TOLD | {one["name"]: one["value"] for one in own}
            (mount,) = [one for one in after["volumeMounts"] if one["mountPath"] == CA_FOLDER]
            assert (mount["name"], mount["readOnly"]) == (NAME, True)


@given(PODS)
def test_a_pod_that_was_told_is_told_nothing_more(pod: dict[str, Any]) -> None:
    assert patch(told(pod), ENVIRON, "PEM") == []


@given(PODS)
def test_the_pod_that_was_asked_about_is_left_as_it_is(pod: dict[str, Any]) -> None:
    before = copy.deepcopy(pod)
    patch(pod, ENVIRON, "PEM")
    assert pod == before
