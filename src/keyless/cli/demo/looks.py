"""What the audience is shown between the steps: conditions, identities, objects, refusals. Nothing is changed here."""

from __future__ import annotations

import json
from typing import Any

from keyless.api import Permanent, Reason
from keyless.cli.demo.stage import Stage, until
from keyless.kube import NotFound, condition_of
from keyless.kube.resources import CONTROLPLANES, DEPLOYMENTS, EXTERNALSECRETS, SECRETS

WAIT_SECONDS = 90.0


async def refusal(stage: Stage) -> str:
    """The collector's own words for why it has no credentials, and the cloud's reason, which AWS keeps to itself."""
    found = await _condition(stage, "BillingStored", "False")
    reason = _refused_by_trust(stage)
    return f"refused  {found['reason']}: {found['message'].split(';')[0]}\n{reason}".rstrip()


async def usage_stored(stage: Stage) -> str:
    """The object in the bucket and the session that wrote it."""
    found = await _condition(stage, "BillingStored", "True")
    bucket = stage.name("YOUR_BILLING_BUCKET")
    listed = await stage.aws.call("s3", "ListObjectsV2", Bucket=bucket, Prefix="account=")
    keys = [item["Key"] for item in listed.get("Contents", ())]
    return "\n".join([f"identity {identity_in(found['message'])}", *(f"stored   s3://{bucket}/{k}" for k in keys)])


async def scopes_given(stage: Stage) -> str:
    """What the operator made of the scopes: the controller is told those of its own control plane."""

    async def told() -> str | None:
        namespace = stage.name("YOUR_CONTROL_PLANE_NAMESPACE")
        deployment = await stage.host.get(DEPLOYMENTS, "external-secrets", namespace)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        found = [one["value"] for one in container["env"] if one["name"] == "KEYLESS_SCOPES"]
        return found[0] if found else None

    what = "expected Deployment external-secrets to be told the scopes"
    return f"told     external-secrets: {await until(told, seconds=WAIT_SECONDS, what=what)}"


async def secret_arrived(stage: Stage) -> str:
    """The Secret's keys (never its values) and who read them."""

    async def synced() -> dict[str, Any] | None:
        try:
            found = await stage.tenant.get(EXTERNALSECRETS, "database", "payments")
            ready = condition_of((found.get("status") or {}).get("conditions"), "Ready")
            if ready is None or ready["status"] != "True":
                return None
            return await stage.tenant.get(SECRETS, "database", "payments")
        except NotFound:
            return None

    secret = await until(synced, seconds=WAIT_SECONDS, what="expected ExternalSecret payments/database to be Ready")
    readers = {line["caller"]["arn"] for line in _calls(stage, "secretsmanager:GetSecretValue", "Success")}
    who = "\n".join(f"identity {arn}" for arn in sorted(readers))
    return f"{who}\narrived  Secret payments/database in ctp1, keys: {', '.join(sorted(secret['data']))}"


async def out_of_scope(stage: Stage) -> str:
    """The refusal in the team's own words, and that AWS was not even asked."""

    async def refused() -> dict[str, Any] | None:
        try:
            found = await stage.tenant.get(EXTERNALSECRETS, "neighbour", "payments")
        except NotFound:
            return None
        ready = condition_of((found.get("status") or {}).get("conditions"), "Ready")
        return ready if ready is not None and ready["status"] == "False" else None

    what = "expected ExternalSecret payments/neighbour to be refused"
    ready: dict[str, Any] = await until(refused, seconds=WAIT_SECONDS, what=what)
    key = f"{stage.name('YOUR_SECRET_PREFIX')}search"
    asked = [line for line in _calls(stage, "secretsmanager:GetSecretValue") if key in json.dumps(line)]
    if asked or Reason.KEY_NOT_IN_SCOPE not in ready["message"]:
        raise Permanent(f"expected {Reason.KEY_NOT_IN_SCOPE} without a call of AWS, found {ready['message']}")
    return f"refused  {ready['message']}\nasked    AWS was not: its record has no call for {key}"


async def second_arrived(stage: Stage) -> str:
    """That the shared secret is in the second control plane, too."""

    async def there() -> dict[str, Any] | None:
        try:
            return await kube.get(SECRETS, "database", "payments")
        except NotFound:
            return None

    async with stage.second() as kube:
        secret = await until(there, seconds=WAIT_SECONDS, what="expected Secret payments/database in ctp2")
    return f"arrived  Secret payments/database in ctp2, keys: {', '.join(sorted(secret['data']))}"


async def _condition(stage: Stage, kind: str, status: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any] | None:
        plane = await stage.host.get(CONTROLPLANES, "ctp1", "default")
        found = condition_of((plane.get("status") or {}).get("conditions"), kind)
        return found if found is not None and found["status"] == status else None

    found: dict[str, Any] = await until(ask, seconds=WAIT_SECONDS, what=f"expected condition {kind} to be {status}")
    return found


def _refused_by_trust(stage: Stage) -> str:
    lines = _calls(stage, "sts:AssumeRoleWithWebIdentity", "AccessDenied")
    if not lines:
        return ""
    trace = (lines[-1].get("decision") or {}).get("trace") or [lines[-1]["notes"].get("refused", "")]
    return "\n".join(f"because  {text}" for text in trace)


def identity_in(message: str) -> str:
    """The session's ARN in a condition's message, wherever it stands there."""
    return next((word.strip(",;.()") for word in message.split() if ":assumed-role/" in word), message)


def changes(stage: Stage, actions: tuple[str, ...]) -> list[dict[str, Any]]:
    """The calls of these actions that were answered, in their order."""
    found = [line for action in actions for line in _calls(stage, action, "Success")]
    return sorted(found, key=lambda line: str(line["time"]))


def _calls(stage: Stage, action: str, code: str = "") -> list[dict[str, Any]]:
    from keyless.local.cloud.audit import read_audit
    from keyless.local.state.database import open_for_reading

    connection = open_for_reading(stage.folder / "state")
    assert connection is not None
    lines = [json.loads(line.text) for line in read_audit(connection, limit=100_000)]
    connection.close()
    return [line for line in lines if line["action"] == action and code in ("", line["code"])]
