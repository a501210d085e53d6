"""What PushSecrets and registry tokens will ask of AWS: the calls beside those that read for ExternalSecrets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from keyless.kube import KubeObject
from keyless.kube.selectors import matches
from keyless.shared_secrets.push.model import Push, push_of
from keyless.shared_secrets.stores.model import PARAMETER_STORE, AwsProvider
from keyless.shared_secrets.sync.generators import ECR
from keyless.shared_secrets.sync.model import SpecFault, Wanted


@dataclass(frozen=True, slots=True)
class Place:
    """Where the calls go: the account's number, and how many control planes and namespaces make them."""

    account: str
    partition: str = "aws"
    copies: int = 1


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """One call that is made: its action on an ARN (a pattern where AWS chose the end), by whom and how often."""

    action: str
    resource: str
    interval_seconds: float = field(default=0.0, compare=False)
    batches: bool = field(default=False, compare=False)


def arn_of(provider: AwsProvider, name: str, place: Place, *, whole: bool = True) -> str:
    """Return the ARN of a secret or parameter, as a policy names it; not ``whole``: ``name`` is a pattern."""
    if name.startswith("arn:"):
        return name
    where = f"{provider.region}:{place.account}"
    if provider.service == PARAMETER_STORE:
        return f"arn:{place.partition}:ssm:{where}:parameter/{name.partition(':')[0].removeprefix('/')}"
    # A secret's ARN ends in six characters that AWS chose.
    return f"arn:{place.partition}:secretsmanager:{where}:secret:{name}{'-??????' if whole else ''}"


def pushes_of(objects: Iterable[KubeObject]) -> Iterator[Push]:
    """Yield the PushSecrets; raises ``SpecFault`` that names the one which cannot be read."""
    for obj in objects:
        if obj.get("kind") != "PushSecret":
            continue
        metadata = {"namespace": "default", "name": "", **(obj.get("metadata") or {})}
        try:
            yield push_of({**obj, "metadata": metadata})
        except SpecFault as fault:
            raise SpecFault(f"PushSecret {metadata['name']}: {fault}") from None


def writes(push: Push, store: KubeObject, provider: AwsProvider, place: Place) -> Iterator[Call]:
    """Yield the calls of a PushSecret at one store: a look at each remote key by the clock, writes when it differs."""
    metadata = store.get("metadata") or {}
    chosen = any(
        (one.kind, one.name) == (store.get("kind"), metadata.get("name"))
        or (
            one.kind == store.get("kind")
            and one.selector is not None
            and matches(dict(one.selector), metadata.get("labels") or {})
        )
        for one in push.stores
    )
    if not chosen:
        return
    parameters = provider.service == PARAMETER_STORE
    looks = ("ssm:GetParameter", "ssm:ListTagsForResource") if parameters else (
        "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")  # fmt: skip
    for key in sorted({item.remote_key for item in push.items}):
        resource = arn_of(provider, provider.prefix + key, place)
        changes = push.replaces or any(item.property for item in push.items if item.remote_key == key)
        for action in looks:
            yield Call(action, resource, push.interval_seconds)
        for action in _writing(parameters=parameters, changes=changes, deletes=push.deletes):
            yield Call(action, resource)


def _writing(*, parameters: bool, changes: bool, deletes: bool) -> tuple[str, ...]:
    if parameters:
        return "ssm:PutParameter", "ssm:AddTagsToResource", *(("ssm:DeleteParameter",) if deletes else ())
    made = ["secretsmanager:CreateSecret", "secretsmanager:TagResource"]
    made += ["secretsmanager:PutSecretValue"] if changes else []
    return *made, *(("secretsmanager:DeleteSecret",) if deletes else ())


def tokens(objects: Iterable[KubeObject], wanted: Iterable[Wanted]) -> Iterator[tuple[str, tuple[Call, ...]]]:
    """Yield each registry token generator that an ExternalSecret of its namespace names, with its calls."""
    readers = list(wanted)
    for obj in objects:
        metadata = obj.get("metadata") or {}
        if obj.get("kind") != ECR:
            continue
        place = (metadata.get("namespace") or "default", ECR, metadata.get("name"))
        # Each reader asks for a token of its own: they are not shared.
        calls = tuple(
            Call("ecr:GetAuthorizationToken", "*", one.interval_seconds if one.policy == "Periodic" else 0.0)
            for one in readers
            for item in one.extracts
            if item.generator and (one.namespace, item.generator.kind, item.generator.name) == place
        )
        if calls:
            yield f"{ECR} {metadata.get('name')}", calls
