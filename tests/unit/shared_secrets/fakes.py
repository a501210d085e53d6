"""AWS as one object, and a Space with a control plane in memory."""

from datetime import UTC, datetime, timedelta
from functools import cache

from keyless.api import crds
from keyless.aws import AwsPermanent, AwsTransient, Keys
from keyless.aws.errors import Said
from keyless.gotemplate.jobs import render_all
from keyless.kube import Invalid
from keyless.kube.errors import failure_status
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES, NAMESPACES
from keyless.local.cluster.schema import Structural
from keyless.shared_secrets.settings import Settings
from keyless.shared_secrets.stores.sessions import Opened

ARN = "arn:aws:sts::111122223333:assumed-role/secrets/eks-keyless-external-secrets"
PLANTED = "pl4nted-s3cret"


class FakeAws:
    """A session: answers from ``secrets`` and ``parameters``; ``refuse`` maps an operation to a code."""

    def __init__(self, secrets=None, parameters=None):
        self.secrets, self.parameters = secrets or {}, parameters or {}
        self.refuse = {}
        self.calls = []
        self.region = "us-west-2"

    def in_region(self, region):
        return self

    async def keys(self):
        self._refused("AssumeRoleWithWebIdentity")
        return Keys("ASIA1", PLANTED, PLANTED, datetime.now(UTC) + timedelta(hours=1))

    async def call(self, service, operation, /, **params):
        self.calls.append((operation, params))
        self._refused(operation)
        return getattr(self, operation)(**params)

    def _refused(self, operation):
        if operation in self.refuse:
            code = self.refuse[operation]
            kind = AwsTransient if code == "ThrottlingException" else AwsPermanent
            raise kind(
                Said(operation, code, f"User: {ARN} is not authorized to perform: {operation}", f"r-{len(self.calls)}")
            )

    def _no(self, operation, code, message):
        raise AwsPermanent(Said(operation, code, message, "r-1"))

    def GetCallerIdentity(self):
        return {"Account": "111122223333", "Arn": ARN, "UserId": "AROA:x"}

    def GetSecretValue(self, **asked):
        if asked["SecretId"] not in self.secrets:
            self._no("GetSecretValue", "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        value = self.secrets[asked["SecretId"]]
        return {"SecretBinary" if isinstance(value, bytes) else "SecretString": value, "VersionId": "v1"}

    def DescribeSecret(self, **_asked):
        return {"Tags": [{"Key": "team", "Value": "blue"}]}

    def GetParameter(self, **asked):
        assert asked["WithDecryption"]
        if asked["Name"] not in self.parameters:
            self._no("GetParameter", "ParameterNotFound", "")
        return {"Parameter": {"Value": self.parameters[asked["Name"]], "Version": 3}}


class FakeSessions:
    """Whatever the provider says, the session is the fake; it remembers what was asked for."""

    def __init__(self, aws):
        self.aws, self.opened = aws, []

    async def open(self, provider, place):
        self.opened.append((provider, place.name))
        return Opened(self.aws, f"{place.name}/{provider.auth!r}", provider.auth is None or place.name == "host")


SETTINGS = Settings(
    control_plane_name="ctp1",
    control_plane_group="default",
    host_namespace="mxp-1-system",
    port=0,
    concurrent=2,
    # As External Secrets Operator does it; what holds without is tried in stores/test_attacks_tenants.py.
    tenant_stores_may_use_controller_identity=True,
)


@cache
def _statuses():
    """By plural: the definition's schema of ``status`` alone, since rules of the spec are slow to compile."""
    found = {}
    for definition in crds.all():
        for version in definition["spec"]["versions"]:
            status = version["schema"]["openAPIV3Schema"]["properties"].get("status")
            if version["storage"] and status:
                schema = {"type": "object", "properties": {"status": status}}
                found[definition["spec"]["names"]["plural"]] = Structural.compile(schema)
    return found


def as_defined(_operation, plural, obj):
    """Admit as a real API server does: a status that the definition has no room for is refused, or would be dropped."""
    schema = _statuses().get(plural)
    if schema is None or "status" not in obj:
        return obj
    said = {"status": obj["status"]}
    _, dropped = schema.prune(said)
    assert not dropped, f"{plural}: a real API server drops {dropped}"
    if errors := schema.validate(said):
        raise Invalid(failure_status(422, "Invalid", f"{plural}: {errors}"))
    return obj


def a_space():
    """Return (host, tenant): a ControlPlane in the host, two namespaces in the tenant."""
    host, tenant = MemoryKube(), MemoryKube()
    host.admit = tenant.admit = as_defined
    host.put(NAMESPACES, {"metadata": {"name": "mxp-1-system"}})
    host.put(CONTROLPLANES, {"metadata": {"name": "ctp1", "namespace": "default", "labels": {"env": "prod"}}})
    for name, labels in (("app", {"team": "blue"}), ("other", {})):
        tenant.put(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
    return host, tenant


def aws_provider(service="SecretsManager", **more):
    return {"aws": {"service": service, "region": "us-west-2", **more}}


def a_store(name="aws", **more):
    return {"metadata": {"name": name, "namespace": "app"}, "spec": {"provider": aws_provider(**more)}}


def an_external_secret(name="db", namespace="app", **spec):
    spec.setdefault("secretStoreRef", {"name": "aws", "kind": "SecretStore"})
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def a_value(key, remote, **more):
    return {"secretKey": key, "remoteRef": {"key": remote, **more}}


class InlineRenderer:
    """Renders at once in this process, for tests whose templates are known to end."""

    async def render(self, work):
        return render_all(work)
