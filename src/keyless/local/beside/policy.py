"""How pods of a cluster learn of the cloud beside it: a MutatingAdmissionPolicy (Kubernetes 1.36). Pure.

Each new pod gets the endpoint, and the endpoint's authority as a file: the policy writes the certificate into an
annotation, which a downward API volume shows, because a ConfigMap would have to be in each namespace. What a container
sets itself stays. Lists that are replaced whole (a volume's items) cannot be applied, so the volume is a JSON patch.

https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from keyless.kube.resources import KubeObject, Resource
from keyless.local.cloud.eks.agent import CA_ANNOTATION, CA_FOLDER, CA_VOLUME

NAME = CA_VOLUME
SKIP_LABEL = "cloud.keyless.dev/skip"
# Pods of the cluster's own speak with the real cloud, and must start when this one is away.
SPARED_NAMESPACES = ("kube-system",)
_GROUP = "admissionregistration.k8s.io"
POLICIES = Resource(_GROUP, "v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", namespaced=False)
BINDINGS = Resource(_GROUP, "v1", "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", namespaced=False)


def environment(endpoint: str, region: str, metadata_endpoint: str = "") -> dict[str, str]:
    """The variables that lead an SDK to the cloud; with ``metadata_endpoint`` to the node's role, too, as on EC2."""
    metadata = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata_endpoint} if metadata_endpoint else {}
    return {
        "AWS_ENDPOINT_URL": endpoint,
        # The Go SDK asks STS for a web identity's role before it has read the line above.
        "AWS_ENDPOINT_URL_STS": endpoint,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **metadata,
    }


def objects(environ: Mapping[str, str], ca_pem: str) -> tuple[tuple[Resource, KubeObject], ...]:
    """The policy that gives pods these variables and the authority of their endpoint, and what puts it in force."""
    policy = {
        "metadata": {"name": NAME},
        "spec": {
            # A pod without its endpoint would carry its token to AWS itself.
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {
                    "matchExpressions": [
                        {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": list(SPARED_NAMESPACES)}
                    ]
                },
                "objectSelector": {"matchExpressions": [{"key": SKIP_LABEL, "operator": "DoesNotExist"}]},
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                ],
            },
            "variables": [{"name": "env", "expression": _environment(environ)}],
            "mutations": [
                {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": _applied(ca_pem)}},
                {"patchType": "JSONPatch", "jsonPatch": {"expression": _VOLUME}},
            ],
        },
    }
    binding = {"metadata": {"name": NAME}, "spec": {"policyName": NAME}}
    return (POLICIES, policy), (BINDINGS, binding)


def _environment(environ: Mapping[str, str]) -> str:
    """A CEL map of the variables that every container gets unless it sets them."""
    return json.dumps({**environ, "AWS_CA_BUNDLE": f"{CA_FOLDER}/ca.crt"})


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
        "env: variables.env.filter(n, !has(c.env) || !c.env.exists(e, e.name == n))"
        f".map(n, {kind}.env{{name: n, value: variables.env[n]}}),"
        f'volumeMounts: [{kind}.volumeMounts{{name: "{NAME}", mountPath: "{CA_FOLDER}", readOnly: true}}]'
        "})"
    )


_FIELD = json.dumps(f"metadata.annotations['{CA_ANNOTATION}']")
_VOLUME = (
    '(has(object.spec.volumes) ? [] : [JSONPatch{op: "add", path: "/spec/volumes", value: []}])'
    ' + [JSONPatch{op: "add", path: "/spec/volumes/-", value: Object.spec.volumes{'
    f'name: "{NAME}",'
    "downwardAPI: Object.spec.volumes.downwardAPI{items: [Object.spec.volumes.downwardAPI.items{"
    'path: "ca.crt",'
    f"fieldRef: Object.spec.volumes.downwardAPI.items.fieldRef{{fieldPath: {_FIELD}}}"
    "}]}}}]"
)
