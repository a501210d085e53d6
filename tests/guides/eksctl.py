"""What eksctl 0.231 sends for ``utils associate-iam-oidc-provider --approve``, replayed with botocore.

eksctl itself is not in any package registry; the sequence and the arguments are those of its source: GetCallerIdentity,
DescribeCluster, DescribeClusterVersions, GetOpenIDConnectProvider by the issuer's host and path without its port,
a TLS connection to the issuer for the thumbprint of the last certificate of its chain, CreateOpenIDConnectProvider,
TagResource.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import botocore.session


def associate_iam_oidc_provider(environ: dict[str, str], cluster: str) -> str:
    """Make the provider unless it is there; returns what eksctl would say of it."""
    session = botocore.session.Session()

    def service(name: str) -> Any:
        return session.create_client(
            name,
            region_name=environ["AWS_REGION"],
            endpoint_url=environ["AWS_ENDPOINT_URL"],
            aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        )

    eks, iam = service("eks"), service("iam")
    account = service("sts").get_caller_identity()["Account"]
    described = eks.describe_cluster(name=cluster)["cluster"]
    assert described["status"] == "ACTIVE"
    # eksctl takes the first without looking whether there is one.
    assert eks.describe_cluster_versions()["clusterVersions"][0]["clusterVersion"]
    issuer = urlsplit(described["identity"]["oidc"]["issuer"])
    arn = f"arn:aws:iam::{account}:oidc-provider/{issuer.hostname}{issuer.path}"
    try:
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    except iam.exceptions.NoSuchEntityException:
        pass
    else:
        return "already associated"
    made = iam.create_open_id_connect_provider(
        Url=issuer.geturl(),
        ClientIDList=["sts.amazonaws.com"],
        ThumbprintList=[thumbprint(issuer.hostname or "", issuer.port or 443, environ["SSL_CERT_FILE"])],
        Tags=[{"Key": "alpha.eksctl.io/cluster-name", "Value": cluster}],
    )
    assert made["OpenIDConnectProviderArn"] == arn
    eks.tag_resource(resourceArn=described["arn"], tags={"alpha.eksctl.io/cluster-oidc-enabled": "true"})
    return "associated"


def thumbprint(host: str, port: int, bundle: str) -> str:
    """SHA-1 of the last certificate that the issuer shows."""
    context = ssl.create_default_context(cafile=bundle)
    with socket.create_connection((host, port)) as plain, context.wrap_socket(plain, server_hostname=host) as secure:
        # Python 3.11 shows the verified chain only through the inner object; its last member is the root.
        chain = secure._sslobj.get_unverified_chain()
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(chain[-1].public_bytes())).hexdigest()
