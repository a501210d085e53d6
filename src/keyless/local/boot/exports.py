"""What a shell needs to use the local Space: kubectl, helm, aws, and every variable of the guides. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from keyless.local.boot.options import CLUSTER_NAME, CONTROL_PLANE

OF_A_CONTROL_PLANE = ("YOUR_CONTROL_PLANE", "YOUR_CONTROL_PLANE_NAMESPACE", "YOUR_NAMESPACE")


@dataclass(frozen=True, slots=True)
class Access:
    """Where things are and who the reader of the guides is."""

    kubeconfig: str
    ca_bundle: str
    aws_endpoint: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str = ""
    account: str = ""
    host_namespace: str = ""
    oidc_provider: str = ""
    """The issuer of a cluster elsewhere, without its scheme; empty: our own cluster's."""
    control_plane: str = CONTROL_PLANE
    """The one whose host namespace it is."""


def exports(access: Access) -> dict[str, str]:
    """The variables, in the order they are printed."""
    return {
        # Later commands of keyless in this shell mean this Space, not the default one.
        "KEYLESS_STATE": access.kubeconfig.rpartition("/")[0],
        "KUBECONFIG": access.kubeconfig,
        "AWS_ACCESS_KEY_ID": access.access_key_id,
        "AWS_SECRET_ACCESS_KEY": access.secret_access_key,
        "AWS_REGION": access.region,
        "AWS_DEFAULT_REGION": access.region,
        "AWS_ENDPOINT_URL": access.aws_endpoint,
        # The Go SDK asks STS for a web identity's role before it has read the line above.
        "AWS_ENDPOINT_URL_STS": access.aws_endpoint,
        "AWS_CA_BUNDLE": access.ca_bundle,
        "AWS_PAGER": "",
        "SSL_CERT_FILE": access.ca_bundle,
        **guide_variables(access),
    }


def guide_variables(access: Access) -> dict[str, str]:
    """Every ``YOUR_…`` of the two guides."""
    return {
        "YOUR_AWS_ACCOUNT_ID": access.account,
        "YOUR_AWS_REGION": access.region,
        "YOUR_REGION": access.region,
        "YOUR_CLUSTER_NAME": CLUSTER_NAME,
        "YOUR_OIDC_PROVIDER": access.oidc_provider or f"127.0.0.1/clusters/{CLUSTER_NAME}",
        "YOUR_CONTROL_PLANE": access.control_plane if access.host_namespace else "",
        "YOUR_CONTROL_PLANE_NAMESPACE": access.host_namespace,
        "YOUR_NAMESPACE": access.host_namespace,
        "YOUR_BILLING_BUCKET": "keyless-billing",
        "YOUR_BILLING_ROLE_NAME": "keyless-billing",
        "YOUR_ESO_ROLE_NAME": "keyless-shared-secrets",
        "YOUR_ROLE_NAME": "keyless-shared-secrets",
        "YOUR_SECRET_PREFIX": "keyless/",
        "YOUR_PARAMETER_PREFIX": "keyless/",
    }


def shell(variables: Mapping[str, str]) -> str:
    """Lines for ``eval``. A session token or a profile of the caller's own would win over the keys: away with them."""
    # A namespace that is not there is unset: an empty one would make `kubectl -n ""` mean another.
    absent = [name for name in OF_A_CONTROL_PLANE if variables.get(name) == ""]
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items() if name not in absent]
    lines += [f"unset {' '.join(absent)}"] if absent else []
    if "AWS_ACCESS_KEY_ID" in variables:
        lines.insert(0, "unset AWS_SESSION_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE")
    return "\n".join(lines)
