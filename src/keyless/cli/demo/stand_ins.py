"""The requests that kubectl, helm and aws would send, for machines that have none of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from keyless.cli.demo.stage import Stage
from keyless.kube import Kube, Resource, timestamp
from keyless.kube.resources import CONFIGMAPS, DEPLOYMENTS, SECRETS
from keyless.local.boot.release.upgrade import Path, upgraded

FIELD_MANAGER = "keyless-demo"


async def apply(kube: Kube, objects: list[dict[str, Any]], res: Resource) -> str:
    """``kubectl apply -f``, by server-side apply."""
    for obj in objects:
        await kube.apply(res, obj, obj["metadata"].get("namespace"), field_manager=FIELD_MANAGER)
    return "\n".join(f"{obj['kind'].lower()}/{obj['metadata']['name']} applied" for obj in objects)


async def rollout_restart(stage: Stage, deployment: str, namespace: str = "") -> str:
    """``kubectl rollout restart``: the annotation that makes a new pod template."""
    annotations = {"kubectl.kubernetes.io/restartedAt": timestamp(datetime.now(UTC))}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    place = namespace or stage.name("YOUR_CONTROL_PLANE_NAMESPACE")
    await stage.host.patch(DEPLOYMENTS, deployment, patch, place, kind="strategic")
    return f"deployment.apps/{deployment} restarted"


async def helm_upgrade(stage: Stage, sets: dict[Path, object], *, reuse_values: bool = False) -> str:
    """``helm upgrade spaces spaces-helm-chart --set …``: the values' ConfigMap and the release record."""
    page = await stage.host.list(SECRETS, "default", labels={"owner": "helm", "name": "spaces", "status": "deployed"})
    newest = max(page.items, key=lambda secret: int(secret["metadata"]["labels"]["version"]))
    made = upgraded(newest, sets, datetime.now(UTC), reuse_values=reuse_values)
    await stage.host.create(SECRETS, made.secret)
    await stage.host.patch(CONFIGMAPS, "spaces-values", {"data": {"values.json": made.values_json}}, "default")
    old = made.superseded
    labels = {"metadata": {"labels": old["metadata"]["labels"]}, "data": old["data"]}
    await stage.host.patch(SECRETS, old["metadata"]["name"], labels, "default")
    return f'Release "spaces" has been upgraded to revision {made.secret["metadata"]["labels"]["version"]}.'


async def create_role(stage: Stage, name: str, trust: dict[str, Any], policy: dict[str, Any]) -> str:
    """``aws iam create-role`` and ``put-role-policy``."""
    role = await stage.aws.call("iam", "CreateRole", RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    await stage.aws.call("iam", "PutRolePolicy", RoleName=name, PolicyName="demo", PolicyDocument=json.dumps(policy))
    return str(role["Role"]["Arn"])
