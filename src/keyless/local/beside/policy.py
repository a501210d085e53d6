"""How pods of a cluster learn of the cloud beside it: a MutatingAdmissionPolicy (Kubernetes 1.36). Pure.

``pods.py`` says what they are told. Lists that are replaced whole (a volume's items) cannot be applied, so the volume
is a JSON patch; a pod that was written down while it ran, as for a copy, has it already.

https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from keyless.kube.resources import KubeObject, Resource
from keyless.local.beside.pods import FAILURE_POLICY, NAME, REINVOCATION, RULE, SELECTORS, variables
from keyless.local.cloud.eks.agent import CA_ANNOTATION, CA_FOLDER

_GROUP = "admissionregistration.k8s.io"
POLICIES = Resource(_GROUP, "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", namespaced=False)
BINDINGS = Resource(_GROUP, "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", namespaced=False)


def policy_objects(environ: Mapping[str, str], ca_pem: str) -> tuple[tuple[Resource, KubeObject], ...]:
    """The policy that gives pods these variables and the authority of their endpoint, and what puts it in force."""
    policy = {
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": FAILURE_POLICY,
            "reinvocationPolicy": REINVOCATION,
            "matchConstraints": {**SELECTORS, "resourceRules": [RULE]},
            # A list, for a map's entries come in any order.
            "variables": [{"name": "env", "expression": json.dumps(variables(environ))}],
            "mutations": [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": _applied(ca_pem)}},
                {"patchType": "JSONPatch", "jsonPatch": {"expression": _VOLUME}},
            ],
        },
    }
    binding = {"metadata": {"name": NAME}, "spec": {"policyName": NAME}}
    return (POLICIES, policy), (BINDINGS, binding)


def _applied(ca_pem: str) -> str:
    return (
        "Object{"
        f"metadata: Object.metadata{{annotations: {{{json.dumps(CA_ANNOTATION)}: {json.dumps(ca_pem)}}}}},"
        f"spec: Object.spec{{{_told('containers')}, {_told('initContainers')}}}"
        "}"
    )


def _told(containers: str) -> str:
    kind = f"Object.spec.{containers}"
    return (
        f"{containers}: (has(object.spec.{containers}) ? object.spec.{containers} : []).map(c, {kind}{{"
        "name: c.name,"
        "env: variables.env.filter(n, !has(c.env) || !c.env.exists(e, e.name == n.name))"
        f".map(n, {kind}.env{{name: n.name, value: n.value}}),"
        f'volumeMounts: [{kind}.volumeMounts{{name: "{NAME}", mountPath: "{CA_FOLDER}", readOnly: true}}]'
        "})"
    )


_FIELD = json.dumps(f"metadata.annotations['{CA_ANNOTATION}']")
_VOLUME = (
    '(has(object.spec.volumes) ? [] : [JSONPatch{op: "add", path: "/spec/volumes", value: []}])'
    f' + (has(object.spec.volumes) && object.spec.volumes.exists(v, v.name == "{NAME}") ? [] : '
    '[JSONPatch{op: "add", path: "/spec/volumes/-", value: Object.spec.volumes{'
    f'name: "{NAME}",'
    "downwardAPI: Object.spec.volumes.downwardAPI{items: [Object.spec.volumes.downwardAPI.items{"
    'path: "ca.crt",'
    f"fieldRef: Object.spec.volumes.downwardAPI.items.fieldRef{{fieldPath: {_FIELD}}}"
    "}]}}}])"
)
