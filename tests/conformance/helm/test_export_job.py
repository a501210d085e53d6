"""The scheduled export as real helm renders it: one run at a time, its own identity, and no right in the cluster."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import typer
import yaml

from keyless.cli.billing import app
from keyless.local.cluster.admission.pod_standards import violations
from keyless.local.cluster.builtin.defaults import default
from keyless.local.cluster.builtin.validation import validate

NAMED = ("billing.storage.aws.bucket=usage", "billing.storage.aws.region=eu-west-1", "account=acme")
ON = (*NAMED, "billing.export.schedule=0 3 1-3 * *")
EVERYTHING = (
    *ON,
    *("billing.export.persistence.enabled=true", "caBundle.name=our-ca", "proxy.httpsProxy=http://p:1"),
    *("imagePullSecrets[0].name=regcred", "commonLabels.team=a", "billing.export.pod.customLabels.pod=e"),
    *("billing.storage.aws.acl=bucket-owner-full-control", "billing.storage.aws.serverSideEncryption=aws:kms"),
    *("billing.export.bucket=finance", "billing.export.forceIncomplete=true", "billing.export.nodeSelector.disk=ssd"),
    *("billing.storage.aws.ssekmsKeyId=alias/usage", "billing.export.secretRef.name=keys"),
)
ANNOTATIONS = "billing.export.serviceAccount.customAnnotations"
_RENDERED: dict[tuple[str, ...], dict[tuple[str, str], Any]] = {}


async def _rendered(helm, *flags: str) -> dict[tuple[str, str], Any]:
    """Once for all tests: they read it."""
    if (helm.layer, *flags) not in _RENDERED:
        _RENDERED[helm.layer, *flags] = await _freshly_rendered(helm, *flags)
    return _RENDERED[helm.layer, *flags]


async def _freshly_rendered(helm, *flags: str) -> dict[tuple[str, str], Any]:
    words = [word for flag in flags for word in ("--set", flag)]
    code, out, errors = await helm("template", "spaces", "spaces-helm-chart", "-n", "spaces", *words)
    assert code == 0, errors
    return {(each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(out) if each}


def _job(objects: dict[tuple[str, str], Any]) -> Any:
    return objects["CronJob", "billing-export"]["spec"]


def _pod(objects: dict[tuple[str, str], Any]) -> Any:
    return _job(objects)["jobTemplate"]["spec"]["template"]


async def test_a_schedule_brings_a_job_and_its_service_account_and_nothing_else(helm) -> None:
    plain, scheduled = await _rendered(helm, *NAMED), await _rendered(helm, *ON)
    watched = {(kind, "spaces-operator-billing-export") for kind in ("Role", "RoleBinding")}
    assert scheduled.keys() - plain.keys() == {
        ("CronJob", "billing-export"), ("ServiceAccount", "billing-export"), *watched
    }  # fmt: skip
    role, binding = (scheduled[kind, "spaces-operator-billing-export"] for kind in ("Role", "RoleBinding"))
    [rule] = role["rules"]
    assert (rule["resources"], rule["resourceNames"], rule["verbs"]) == (["cronjobs"], ["billing-export"], ["get"])
    assert [each["name"] for each in binding["subjects"]] == ["spaces-operator"]
    job = _job(scheduled)
    assert (job["schedule"], job["timeZone"], job["concurrencyPolicy"]) == ("0 3 1-3 * *", "Etc/UTC", "Forbid")
    assert (job["successfulJobsHistoryLimit"], job["failedJobsHistoryLimit"]) == (3, 3)
    assert _pod(scheduled)["spec"]["volumes"] == [{"name": "work", "emptyDir": {}}]


@pytest.mark.parametrize("flags", [ON, EVERYTHING], ids=["plain", "everything"])
async def test_its_pod_is_restricted_enters_no_api_and_is_what_an_api_server_takes(helm, flags) -> None:
    objects = await _rendered(helm, *flags)
    template = _pod(objects)
    assert violations({"kind": "Pod", **template}, "restricted") == []
    assert template["spec"]["automountServiceAccountToken"] is False
    assert objects["ServiceAccount", "billing-export"]["automountServiceAccountToken"] is False
    bound = [each for key in objects if "Binding" in key[0] for each in objects[key].get("subjects", ())]
    assert "billing-export" not in [each["name"] for each in bound]
    assert (
        validate("batch", "CronJob", default("batch", "CronJob", deepcopy(objects["CronJob", "billing-export"]))) == []
    )


@pytest.mark.parametrize("flags", [ON, EVERYTHING], ids=["plain", "everything"])
async def test_the_command_is_one_that_there_is_and_reads_what_it_is_told(helm, flags) -> None:
    (container,) = _pod(await _rendered(helm, *flags))["spec"]["containers"]
    word, name = container["args"]
    command = typer.main.get_command(app).commands[name]
    assert word == "billing"
    read = {each.envvar for each in command.params}
    told = {each["name"] for each in container["env"]}
    others = {"AWS_REGION", "AWS_CA_BUNDLE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "SSL_CERT_FILE"}
    others |= {"HTTPS_PROXY", "NO_PROXY", "MALLOC_ARENA_MAX", "POD_NAMESPACE", "POD_NAME", "POD_IP"}
    assert told - others <= read, "a variable that nobody reads"
    required = {each.envvar for each in command.params if each.required}
    assert required <= told


async def test_everything_that_is_set_arrives(helm) -> None:
    objects = await _rendered(helm, *EVERYTHING)
    template = _pod(objects)
    (container,) = template["spec"]["containers"]
    env = {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}
    assert env["KEYLESS_BILLING_EXPORT_BUCKET"] == "finance"
    assert env["KEYLESS_BILLING_ACL"] == "bucket-owner-full-control"
    assert env["KEYLESS_BILLING_SSEKMS_KEY_ID"] == "alias/usage"
    assert env["UP_BILLING_FORCE_INCOMPLETE"] == "true"
    assert env["AWS_SECRET_ACCESS_KEY"] == {"secretKeyRef": {"name": "keys", "key": "AWS_SECRET_ACCESS_KEY"}}
    assert {volume["name"] for volume in template["spec"]["volumes"]} == {"work", "ca-bundle"}
    assert ("PersistentVolumeClaim", "billing-export") in objects
    assert template["metadata"]["labels"].items() >= {"team": "a", "pod": "e"}.items()
    assert template["spec"]["imagePullSecrets"] == [{"name": "regcred"}]
    assert template["spec"]["nodeSelector"] == {"disk": "ssd"}


@pytest.mark.parametrize(
    ("flag", "variable", "value"),
    [
        ("kmsKeyId=alias/billing", "KEYLESS_BILLING_EXPORT_SIGN_KMS", "alias/billing"),
        ("secretRef.name=billing-key", "KEYLESS_BILLING_EXPORT_SIGN_KEY", "/etc/keyless/signing/signing.key"),
    ],
)
async def test_what_signs_usage_signs_its_reports(helm, flag, variable, value) -> None:
    pod = _pod(await _rendered(helm, *ON, f"billing.signing.{flag}"))["spec"]
    (container,) = pod["containers"]
    told = {each["name"]: each.get("value") for each in container["env"] if "SIGN" in each["name"]}
    assert told == {variable: value}
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    assert ("/etc/keyless/signing" in mounted) == flag.startswith("secretRef")
    assert ("signing" in {each["name"] for each in pod["volumes"]}) == flag.startswith("secretRef")


async def test_a_policy_keeps_everybody_out_of_it_and_binds_what_goes_out(helm) -> None:
    objects = await _rendered(helm, *ON, "networkPolicy.enabled=true", "networkPolicy.egress[0].ports[0].port=443")
    policy = objects["NetworkPolicy", "billing-export"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= _pod(objects)["metadata"]["labels"].items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert policy["egress"] == objects["NetworkPolicy", "spaces-operator"]["spec"]["egress"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("billing.export.schedule=@monthly",), "no bucket is named: expected billing.storage.aws.bucket"),
        ((*NAMED, "billing.export.schedule=monthly"), "schedule"),
        ((*ON, "billing.export.prefix=account=x"), "prefix"),
        ((*ON, "billing.export.prefix=manifest/x"), "prefix"),
        ((*ON, "billing.export.bucket=My_Bucket"), "bucket"),
        (
            (*ON, r"billing.export.serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn=billing"),
            "no role's ARN",
        ),
        ((*ON, r"billing.export.serviceAccount.customAnnotations.eks\.amazonaws\.com/rolearn=x"), "nobody reads"),
    ],
)
async def test_what_would_never_work_is_refused(helm, flags: tuple[str, ...], said: str) -> None:
    words = [word for flag in flags for word in ("--set", flag)]
    code, _, errors = await helm("template", "spaces", "spaces-helm-chart", *words)
    assert code != 0
    assert said in errors
