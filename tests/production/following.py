"""A reader of the guides on the real cluster: variables are set as the page says for EKS, the rest is word for word."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from guides.reader import Reader
from production.beside import KEYLESS, NAMESPACE, PROVIDER, Beside
from production.node import OneNode
from production.planes import Plane
from tests.tools import Layer

ACCOUNT = "111122223333"
#: what `keyless env` and `keyless audit` know of a local Space alone; every other word is the command's own
SHIM = """#!/bin/sh
case "$1 $*" in
  env*{plane}*) echo "export KUBECONFIG={inside}" ;;
  audit*) # Over web sockets kubectl 1.32 drops what a quick command says before its stream is known.
    export KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false
    exec kubectl --kubeconfig {host} exec -n {namespace} deploy/keyless-cloud -- python3 -m keyless "$@" ;;
  *) exec {keyless} "$@" ;;
esac
"""


def reader_of(folder: Path, layer: Layer, space: OneNode, plane: Plane, cloud: Beside, own: str) -> Reader:
    """A reader whose bucket, roles and secrets are named after ``own``."""
    found = Reader(folder, layer)
    shim = folder / "shim" / "keyless"
    shim.parent.mkdir()
    host = space.api.kubeconfig
    shim.write_text(
        SHIM.format(plane=plane.name, inside=plane.kubeconfig, host=host, namespace=NAMESPACE, keyless=KEYLESS)
    )
    shim.chmod(0o755)
    variables = cloud.environ() | {
        "KUBECONFIG": str(host),
        "AWS_PAGER": "",
        "SSL_CERT_FILE": str(cloud.state / "ca.crt"),
    }
    variables |= names(plane, own)
    lines = [f'export PATH="{shim.parent}:$PATH"', *(f"export {name}='{value}'" for name, value in variables.items())]
    found.said("\n".join(lines))
    return found


def names(plane: Plane, own: str) -> Mapping[str, str]:
    """Every ``YOUR_…`` variable of the two pages."""
    return {
        "YOUR_CLUSTER_NAME": "keyless",
        "YOUR_AWS_REGION": "us-west-2",
        "YOUR_REGION": "us-west-2",
        "YOUR_AWS_ACCOUNT_ID": ACCOUNT,
        "YOUR_OIDC_PROVIDER": PROVIDER,
        "YOUR_CONTROL_PLANE": plane.name,
        "YOUR_NAMESPACE": plane.namespace,
        "YOUR_CONTROL_PLANE_NAMESPACE": plane.namespace,
        "YOUR_BILLING_BUCKET": f"{own}-usage",
        "YOUR_BILLING_ROLE_NAME": f"{own}-billing",
        "YOUR_ESO_ROLE_NAME": f"{own}-secrets",
        "YOUR_ROLE_NAME": f"{own}-secrets",
        "YOUR_SECRET_PREFIX": f"{own}-",
        "YOUR_PARAMETER_PREFIX": f"{own}-",
    }


def clean(cloud: Beside, *planes: Plane) -> None:
    """No provider, no association; inside no team's namespace and nothing to count: as before anybody read a page."""
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"
    cloud.aws("iam", "delete-open-id-connect-provider", "--open-id-connect-provider-arn", provider)
    listed = cloud.aws("eks", "list-pod-identity-associations", "--cluster-name", "keyless")["associations"]
    for one in listed:
        cloud.aws("eks", "delete-pod-identity-association", "--cluster-name", "keyless",
                  "--association-id", one["associationId"])  # fmt: skip
    for plane in planes:
        plane.kubectl("delete", "namespace", "payments", "--ignore-not-found")
        plane.kubectl("delete", "crd", "vpcs.ec2.aws.upbound.io", "--ignore-not-found")
