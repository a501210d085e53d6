"""What ``keyless identity`` grants: the guides' permissions for the features that the values switch on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from keyless.api.words import counted
from keyless.billing.access import EXPORT
from keyless.billing.export.scheduled import PREFIX
from keyless.cli.exits import NotSeen
from keyless.cli.grant_options import require_options
from keyless.cli.handing_over import ANNOTATION, Annotated
from keyless.cli.verifying import (
    BILLING,
    ENCRYPTION,
    EXPORT_SUBJECT,
    SHARED_SECRETS,
    encryption_key,
    export_needs,
    signing_key,
)
from keyless.identity.grants import Asked, Have, Mode, Way, Wish, undo
from keyless.identity.verify import Cluster, Space
from keyless.identity.verify.aws_facts import AwsFacts
from keyless.identity.verify.kube_facts import KubeFacts, Release
from keyless.kube import condition_of
from keyless.kube.resources import CONTROLPLANES, SERVICEACCOUNTS
from keyless.space.workload_identity.wishes import billing_wish, encryption_wish, export_wish, secrets_wish

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keyless.aws import Session
    from keyless.cli.identity import Options
    from keyless.identity.verify.model import ControlPlane
    from keyless.kube import Kube


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of AWS, and what the Space says today; ``annotated``: the roles that service accounts name.

    ``encrypted``: the control planes, by group and name, of whose Secrets a KMS key opens some.
    """

    asked: Asked
    space: Space
    annotated: Annotated
    encrypted: tuple[str, ...] = ()


async def asked_for(options: Options, kube: Kube, aws: Session, cluster_name: str, *, gone: bool = False) -> Request:
    """The grants for all control planes of the Space; where they shall be ``gone``, of every feature, on or off."""
    if options.way not in list(Way):
        raise typer.BadParameter(f"expected irsa or pod-identity, found {options.way!r}", param_hint="--way")
    if options.mode not in list(Mode):
        raise typer.BadParameter(f"expected exact, system or any, found {options.mode!r}", param_hint="--mode")
    if options.way == Way.PODS and not cluster_name:
        raise typer.BadParameter("associations belong to an EKS cluster: name it", param_hint="--cluster-name")
    require_options(options)
    kubernetes = KubeFacts(kube, Release())
    planes = await kubernetes.control_planes()
    space = await kubernetes.space(planes)
    cluster = await AwsFacts(aws).cluster(cluster_name, await kubernetes.issuer())
    if not isinstance(cluster, Cluster):
        raise NotSeen(f"the cluster's issuer and account: {cluster.why}")
    namespaces = tuple(sorted(space.host_namespaces))
    own = of_their_own(planes)
    wishes = tuple(every_wish(options) if gone else wishes_of(options, space.values, cluster, namespaces, own))
    asked = Asked(cluster, Way(options.way), Mode(options.mode), wishes, options.quota, options.boundary)
    return Request(asked, space, await _annotated(kube), await under_a_kms_key(kube))


async def under_a_kms_key(kube: Kube) -> tuple[str, ...]:
    """Those whose plugin says how the key is: its condition goes when nothing is left that only KMS opens."""
    listed = (await kube.list(CONTROLPLANES)).items
    under = [
        one["metadata"]
        for one in listed
        if condition_of((one.get("status") or {}).get("conditions"), ENCRYPTION.condition) is not None
    ]
    return tuple(sorted(f"{one['namespace']}/{one['name']}" for one in under))


def standing(request: Request, have: Have) -> tuple[str, ...]:
    """What to read before a role is taken away of which more hangs than a component that stops."""
    mine = tuple(one for one in request.asked.wishes if one.service_account == ENCRYPTION.service_account)
    if not request.encrypted or not undo(replace(request.asked, wishes=mine), have).steps:
        return ()
    first, more = request.encrypted[:3], len(request.encrypted) - 3
    named = ", ".join(first) + (f" and {more} more" if more > 0 else "")
    roles = ", ".join(one.role for one in mine)
    off = f"helm upgrade spaces spaces-helm-chart --reuse-values --set {ENCRYPTION.enabled}="
    return (
        f"Secrets of {counted(len(request.encrypted), 'control plane')} ({named}) are encrypted with a KMS key by "
        f"{roles}: without it none of them can be read once its API server is started again. First turn it off, "
        f"`{off}`, and wait until condition {ENCRYPTION.condition} is gone",
    )


async def _annotated(kube: Kube) -> Annotated:
    listed = (await kube.list(SERVICEACCOUNTS, labels={"app.kubernetes.io/managed-by": "keyless"})).items
    return {
        (one["metadata"]["namespace"], one["metadata"]["name"]): str(found)
        for one in listed
        if (found := (one["metadata"].get("annotations") or {}).get(ANNOTATION))
    }


def every_wish(options: Options) -> list[Wish]:
    """What we may ever have made, by name: a feature that is off now was perhaps on."""
    billing = Wish("billing", BILLING.service_account, f"{options.prefix}-billing", (), ())
    role = f"{options.prefix}-shared-secrets"
    export = Wish(EXPORT, EXPORT, f"{options.prefix}-{EXPORT}", (), (), of_space=True)
    encryption = Wish(ENCRYPTION.title, ENCRYPTION.service_account, f"{options.prefix}-{ENCRYPTION.title}", (), ())
    return [billing, Wish("shared-secrets", SHARED_SECRETS.service_account, role, (), ()), export, encryption]


def of_their_own(planes: Iterable[ControlPlane]) -> tuple[str, ...]:
    """The host namespaces in which an API server runs, or may come to: no other has what encrypts its Secrets."""
    return tuple(sorted(each.host_namespace for each in planes if each.mode in ("", "kubernetes")))


def wishes_of(
    options: Options,
    values: Mapping[str, str],
    cluster: Cluster,
    namespaces: tuple[str, ...],
    own: tuple[str, ...] | None = None,
) -> list[Wish]:
    """One for each feature that is on and whose resources are known; ``own``: of :func:`of_their_own`, else all."""
    found = []
    bucket = values.get("billing.storage.aws.bucket", "")
    if values.get(BILLING.enabled) == "true" and bucket:
        role, signs = f"{options.prefix}-billing", signing_key(values, cluster)
        found.append(billing_wish(bucket, role, options.key, cluster, namespaces, signs=signs))
    if values.get(SHARED_SECRETS.enabled) == "true" and options.secrets:
        role = f"{options.prefix}-shared-secrets"
        found.append(secrets_wish(options.secrets, role, options.key, cluster, namespaces))
    if key := encryption_key(values, cluster):
        found.append(encryption_wish(key, f"{options.prefix}-{ENCRYPTION.title}", namespaces if own is None else own))
    if values.get(EXPORT_SUBJECT.enabled) and (needs := export_needs(values, cluster)) is not None:
        place = values.get("account", "*"), values.get("billing.export.prefix") or PREFIX
        found.append(export_wish(needs, place, f"{options.prefix}-{EXPORT}", options.key, Release().namespace))
    return found
