"""Who must be kept out: tenants, forgers, thieves of half a key, web pages; and that no log tells a secret."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass

import pytest
from botocore.exceptions import ClientError

from e2e import acting, seeing, sharing, tokens
from e2e.leaks import PLANTED, nothing_is_told
from e2e.local_space import Keys, LocalSpace
from e2e.planes import Plane, make_plane
from keyless.kube import Kube, Unauthorized, connect_with
from keyless.kube.resources import (
    CONTROLPLANES,
    EVENTS,
    EXTERNALSECRETS,
    NAMESPACES,
    PODS,
    SERVICEACCOUNTS,
    SHAREDEXTERNALSECRETS,
    SHAREDSECRETSTORES,
)
from keyless.local.state.database import open_for_reading

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

PODS_AUDIENCE = "pods.eks.amazonaws.com"
HOST = "keyless"


@dataclass(frozen=True, slots=True)
class Victim:
    """A service account that may become a role both ways, and the pod that does."""

    space: LocalSpace
    host: Kube
    plane: Plane
    pod: acting.Object

    async def token(self, audience: str) -> str:
        """The pod's own good token."""
        status = await self.host.token(
            sharing.CONTROLLER,
            self.plane.namespace,
            audiences=[audience],
            expiration_seconds=tokens.HOUR,
            bound_pod=self.pod,
        )
        return status.token

    def ask_sts(self, token: str) -> str:
        """STS's answer to a token: ``Success``, or the code of its error."""
        sts = self.space.aws("sts", signed=False)
        role = acting.role_arn(self.space, self.plane.role)
        try:
            sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="attack", WebIdentityToken=token)
        except ClientError as error:
            return code_of(error, token)
        return "Success"

    def ask_eks(self, token: str) -> str:
        """EKS Auth's answer to a token."""
        try:
            self.space.aws("eks-auth").assume_role_for_pod_identity(clusterName=HOST, token=token)
        except ClientError as error:
            return code_of(error, token)
        return "Success"


def code_of(error: ClientError, token: str) -> str:
    """AWS's code; its words must not repeat the token."""
    assert token not in str(error)
    return str(error.response["Error"]["Code"])


@pytest.fixture
async def victim(space: LocalSpace, host: Kube, first_plane: Plane) -> Victim:
    """The first control plane's controller. Its role trusts every namespace, so that only the token can be at fault."""
    acting.make_provider(space)
    federated = acting.irsa_trust(space, "system:serviceaccount:*:*", operator="StringLike")
    trust = {**federated, "Statement": [*federated["Statement"], *acting.pods_trust()["Statement"]]}
    acting.make_role(space, first_plane.role, trust, acting.bucket_policy(first_plane.bucket))
    acting.associate(space, first_plane.namespace, sharing.CONTROLLER, first_plane.role)
    pod = await seeing.pod(host, "external-secrets", first_plane.namespace, seeing.is_ready)
    return Victim(space, host, first_plane, pod)


def garbage(_: LocalSpace, _token: str) -> str:
    return "no.token.at-all"


def expired(space: LocalSpace, token: str) -> str:
    return tokens.expired(token, tokens.key_of(space, HOST))


def tampered(_: LocalSpace, token: str) -> str:
    return tokens.tampered(token)


def unsigned(_: LocalSpace, token: str) -> str:
    return tokens.unsigned(token)


def signed_with_the_public_key(space: LocalSpace, token: str) -> str:
    return tokens.signed_with_the_public_key(token, tokens.key_of(space, HOST))


FORGERIES = (garbage, tampered, unsigned, signed_with_the_public_key)
# A token without a signature does not even look like one to EKS Auth.
EKS_CODES = {unsigned: "InvalidParameterException"}


async def test_sts_and_eks_take_a_pods_own_token_and_no_forgery_of_it(space: LocalSpace, victim: Victim) -> None:
    for_sts, for_eks = await victim.token(acting.STS), await victim.token(PODS_AUDIENCE)
    assert victim.ask_sts(for_sts) == "Success"
    assert victim.ask_eks(for_eks) == "Success"

    for forged in FORGERIES:
        assert victim.ask_sts(forged(space, for_sts)) == "InvalidIdentityToken", forged.__name__
        expected = EKS_CODES.get(forged, "InvalidTokenException")
        assert victim.ask_eks(forged(space, for_eks)) == expected, forged.__name__

    assert victim.ask_sts(expired(space, for_sts)) == "ExpiredTokenException"
    assert victim.ask_eks(expired(space, for_eks)) == "ExpiredTokenException"


async def test_a_token_for_somebody_else_is_refused(victim: Victim) -> None:
    for_sts, for_eks = await victim.token(acting.STS), await victim.token(PODS_AUDIENCE)
    for_vault = await victim.token("vault.example.org")

    assert victim.ask_sts(for_eks) == "InvalidIdentityToken"
    assert victim.ask_sts(for_vault) == "InvalidIdentityToken"
    assert victim.ask_eks(for_sts) == "InvalidTokenException"
    assert victim.ask_eks(for_vault) == "InvalidTokenException"


async def test_a_token_minted_inside_a_control_plane_is_nothing_outside(space: LocalSpace, victim: Victim) -> None:
    """The tenant makes the very namespace, service account and pod that the trust policy names."""
    tenant, namespace = victim.plane.tenant, victim.plane.namespace
    await tenant.apply(NAMESPACES, {"metadata": {"name": namespace}}, field_manager="tenant")
    account = {"metadata": {"name": sharing.CONTROLLER, "namespace": namespace}}
    await tenant.apply(SERVICEACCOUNTS, account, field_manager="tenant")
    pod = {
        "metadata": {"name": victim.pod["metadata"]["name"], "namespace": namespace},
        "spec": {"serviceAccountName": sharing.CONTROLLER, "containers": [{"name": "x", "image": "x"}]},
    }
    made = await tenant.create(PODS, pod)
    good = await victim.token(acting.STS)
    for audience, ask, code in (
        (acting.STS, victim.ask_sts, "InvalidIdentityToken"),
        (PODS_AUDIENCE, victim.ask_eks, "InvalidTokenException"),
    ):
        status = await tenant.token(
            sharing.CONTROLLER, namespace, audiences=[audience], expiration_seconds=tokens.HOUR, bound_pod=made
        )
        assert tokens.claims_of(status.token)["sub"] == tokens.claims_of(good)["sub"]
        assert ask(status.token) == code
        # Nor does the tenant's key, under the host's key id and with the host's claims.
        stolen = tokens.signed_by_another(
            await victim.token(audience), tokens.key_of(space, namespace), tokens.key_of(space, HOST).kid
        )
        assert ask(stolen) == code


async def test_a_tenants_token_opens_neither_another_control_plane_nor_the_host(
    space: LocalSpace, host: Kube, plane: Plane
) -> None:
    other = await make_plane(space, host, f"{plane.name}-other")
    kubernetes = space.running["endpoints"]["kubernetes"]
    ca_pem = (space.folder / "ca-bundle.pem").read_text(encoding="utf-8")
    try:
        await plane.tenant.apply(SERVICEACCOUNTS, {"metadata": {"name": "vector", "namespace": "default"}}, **BY_TENANT)
        status = await plane.tenant.token("vector", "default", audiences=[], expiration_seconds=tokens.HOUR)
        own = f"{kubernetes}/clusters/{plane.namespace}"
        async with connect_with(own, ca_pem, status.token) as kube:
            assert await kube.request("GET", "/api/v1")
        for elsewhere in (f"{kubernetes}/clusters/{other.namespace}", f"{kubernetes}/clusters/{HOST}", kubernetes):
            async with connect_with(elsewhere, ca_pem, status.token) as kube:
                with pytest.raises(Unauthorized):
                    await kube.request("GET", "/api/v1")
    finally:
        await other.tenant.aclose()
        await host.delete(CONTROLPLANES, other.name, "default")


BY_TENANT = {"field_manager": "tenant"}


@pytest.mark.parametrize(
    ("service", "operation", "mismatch", "unknown"),
    [
        ("sts", "get_caller_identity", "SignatureDoesNotMatch", "InvalidClientTokenId"),
        ("s3", "list_buckets", "SignatureDoesNotMatch", "InvalidAccessKeyId"),
        ("iam", "list_roles", "SignatureDoesNotMatch", "InvalidClientTokenId"),
        ("secretsmanager", "list_secrets", "InvalidSignatureException", "UnrecognizedClientException"),
        ("eks", "list_clusters", "InvalidSignatureException", "UnrecognizedClientException"),
    ],
)
def test_half_a_key_opens_nothing(
    space: LocalSpace, *, service: str, operation: str, mismatch: str, unknown: str
) -> None:
    known = space.environ["AWS_ACCESS_KEY_ID"]
    for keys, code in ((Keys(known, "guessed" * 6), mismatch), (Keys("AKIAIOSFODNN7EXAMPLE", "x" * 40), unknown)):
        with pytest.raises(ClientError) as refused:
            getattr(space.aws(service, keys), operation)()
        assert refused.value.response["Error"]["Code"] == code


def ports(space: LocalSpace) -> dict[str, int]:
    """Every port that the state has chosen, by name."""
    connection = open_for_reading(space.folder)
    assert connection is not None
    with closing(connection):
        return dict(connection.execute("SELECT name, number FROM port"))


@pytest.mark.parametrize("name", ["kubernetes", "aws", "imds", "agent", "kubelet", "authenticator"])
def test_a_web_page_reaches_no_port_by_a_name_of_its_own(space: LocalSpace, name: str) -> None:
    """A page whose name was rebound to this machine sends its own name as Host."""
    number = ports(space)[name]
    path = {"kubernetes": "/version", "agent": "/v1/credentials", "kubelet": "/healthz"}.get(name, "/")
    for host in ("rebound.example.org", f"rebound.example.org:{number}", "127.0.0.1.example.org", ""):
        status, body = asked(space, number, path, host=host)
        assert status in (400, 403), (host, status, body)


def test_the_webhooks_certificate_is_for_no_name_of_a_web_page(space: LocalSpace) -> None:
    """It is a component that other clusters reach by names of theirs; its certificate is what keeps a page out."""
    context = ssl.create_default_context(cafile=str(space.folder / "ca-bundle.pem"))
    plain = socket.create_connection(("127.0.0.1", ports(space)["webhook"]))
    with plain, pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        context.wrap_socket(plain, server_hostname="rebound.example.org")


def asked(space: LocalSpace, port: int, path: str, *, host: str) -> tuple[int, bytes]:
    """Status and body of a request with this Host header."""
    context = ssl.create_default_context(cafile=str(space.folder / "ca-bundle.pem"))
    try:
        connection: http.client.HTTPConnection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        connection.connect()
    except ssl.SSLError:
        connection = http.client.HTTPConnection("127.0.0.1", port)
    with closing(connection):
        connection.putrequest("GET", path, skip_host=True)
        if host:
            connection.putheader("Host", host)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.read()


PASSWORD = f"{PLANTED}-in-secrets-manager"
ANOTHER = f"{PLANTED}-a-second-version"


async def test_no_log_event_status_or_record_tells_a_secret(space: LocalSpace, host: Kube, plane: Plane) -> None:
    name = sharing.make_secret(space, plane, PASSWORD)
    acting.make_role(space, plane.role, acting.pods_trust(), acting.bucket_policy(plane.bucket))
    acting.associate(space, plane.namespace, sharing.CONTROLLER, plane.role)
    await acting.restart(host, "external-secrets", plane.namespace)
    await sharing.share(space, host, plane)
    # Refused, then read, then read into what cannot be made of it, then written wrongly by its owner.
    await sharing.synced(plane, "False")
    acting.permit(space, plane.role, acting.secrets_policy(space, plane.own))
    assert set(await sharing.arrived(plane)) == {"password"}
    await plane.tenant.create(EXTERNALSECRETS, broken_template(plane))
    await seeing.condition_of_object(plane.tenant, EXTERNALSECRETS, "broken", sharing.TEAM, "Ready", "False")
    manager = space.aws("secretsmanager")
    with pytest.raises(ClientError) as refused:
        manager.create_secret(Name=name, SecretString=ANOTHER)
    assert ANOTHER not in str(refused.value)

    for kube, resources in ((host, HOST_RESOURCES), (plane.tenant, (EVENTS, EXTERNALSECRETS))):
        for res in resources:
            assert PLANTED not in json.dumps((await kube.list(res)).items), res.kind
    nothing_is_told(space)


HOST_RESOURCES = (EVENTS, CONTROLPLANES, SHAREDSECRETSTORES, SHAREDEXTERNALSECRETS, PODS)


def broken_template(plane: Plane) -> acting.Object:
    """A template that fails on the value it is given."""
    return {
        "metadata": {"name": "broken", "namespace": sharing.TEAM},
        "spec": {
            "secretStoreRef": {"kind": "ClusterSecretStore", "name": plane.own},
            "target": {"name": "broken", "template": {"data": {"port": "{{ .password | b64dec | fromJson }}"}}},
            "data": [{"secretKey": "password", "remoteRef": {"key": f"{plane.own}/database", "property": "password"}}],
        },
    }
