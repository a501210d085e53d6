"""Admission: service accounts of pods, and webhooks."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.local.cluster.admission.reviews import BadAnswer, read_untrusted
from unit.local.cluster.support import Kubectl, ScriptedWebhooks, patching, pod

PODS = "/api/v1/namespaces/default/pods"
GROUP = "/apis/admissionregistration.k8s.io/v1"
URL = "https://127.0.0.1:9/mutate"


def hook(name: str = "hook.example.org", url: str = URL, **more: object) -> dict[str, object]:
    return {
        "name": name,
        "clientConfig": {"url": url},
        "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "failurePolicy": "Fail",
        **more,
    }


async def register(kubectl: Kubectl, *hooks: dict[str, object], kind: str = "mutating") -> None:
    body = {"metadata": {"name": f"{kind}-hooks"}, "webhooks": list(hooks)}
    await kubectl.ok("POST", f"{GROUP}/{kind}webhookconfigurations", body)
    await kubectl.account("default")


def annotate(name: str) -> Any:
    def script(request: dict[str, Any]) -> dict[str, Any]:
        if request["object"]["metadata"].get("annotations"):
            return patching({"op": "add", "path": f"/metadata/annotations/{name}", "value": "yes"})
        return patching({"op": "add", "path": "/metadata/annotations", "value": {name: "yes"}})

    return script


async def test_a_pod_runs_as_default_and_gets_its_token_mounted(kubectl: Kubectl) -> None:
    await kubectl.account("default")
    made = await kubectl.ok("POST", PODS, pod())
    assert made["spec"]["serviceAccountName"] == "default"
    volume = made["spec"]["volumes"][0]
    assert volume["name"].startswith("kube-api-access-")
    sources = volume["projected"]["sources"]
    assert sources[0]["serviceAccountToken"] == {"expirationSeconds": 3607, "path": "token"}
    assert sources[1]["configMap"]["name"] == "kube-root-ca.crt"
    mount = made["spec"]["containers"][0]["volumeMounts"][0]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    assert mount["name"] == volume["name"]


async def test_a_pod_without_its_service_account_is_refused(kubectl: Kubectl) -> None:
    refusal = await kubectl.refused("POST", PODS, pod())
    assert refusal["message"] == (
        'pods "p" is forbidden: error looking up service account default/default: serviceaccount "default" not found'
    )


@pytest.mark.parametrize(
    ("on_pod", "on_account", "mounted"), [(False, None, False), (None, False, False), (True, False, True)]
)
async def test_the_pods_wish_about_its_token_goes_before_the_accounts(
    kubectl: Kubectl, on_pod: bool | None, on_account: bool | None, mounted: bool
) -> None:
    account: dict[str, object] = {"metadata": {"name": "default"}}
    if on_account is not None:
        account["automountServiceAccountToken"] = on_account
    await kubectl.ok("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    body = pod() if on_pod is None else pod(automountServiceAccountToken=on_pod)
    made = await kubectl.ok("POST", PODS, body)
    assert bool(made["spec"].get("volumes")) is mounted


async def test_a_webhook_sees_the_pod_with_its_account_and_changes_it(
    kubectl: Kubectl, webhooks: ScriptedWebhooks
) -> None:
    webhooks.scripts[URL] = annotate("seen")
    await register(kubectl, hook())
    made = await kubectl.ok("POST", PODS, pod())
    assert made["metadata"]["annotations"] == {"seen": "yes"}
    request = webhooks.asked[0][1]
    assert request["object"]["spec"]["serviceAccountName"] == "default"
    assert request["namespace"] == "default"
    assert request["operation"] == "CREATE"
    assert request["userInfo"]["username"] == "system:apiserver"


async def test_webhooks_are_asked_on_a_dry_run_if_they_have_no_side_effects(
    kubectl: Kubectl, webhooks: ScriptedWebhooks
) -> None:
    webhooks.scripts[URL] = annotate("seen")
    await register(kubectl, hook())
    made = await kubectl.ok("POST", PODS, pod(), params={"dryRun": "All"})
    assert made["metadata"]["annotations"] == {"seen": "yes"}
    assert webhooks.asked[0][1]["dryRun"] is True


async def test_a_webhook_with_side_effects_cannot_be_registered(kubectl: Kubectl) -> None:
    body = {"metadata": {"name": "mutating-hooks"}, "webhooks": [hook(sideEffects="Some")]}
    refusal = await kubectl.refused("POST", f"{GROUP}/mutatingwebhookconfigurations", body)
    assert [cause["field"] for cause in refusal["details"]["causes"]] == ["webhooks[0].sideEffects"]


async def test_a_webhook_that_fails_stops_the_request_or_is_passed_over(
    kubectl: Kubectl, webhooks: ScriptedWebhooks
) -> None:
    await register(kubectl, hook())
    refusal = await kubectl.refused("POST", PODS, pod())
    assert refusal["code"] == 500
    assert 'failed calling webhook "hook.example.org"' in refusal["message"]
    body = {"metadata": {"name": "mutating-hooks"}, "webhooks": [hook(failurePolicy="Ignore")]}
    await kubectl.ok("PUT", f"{GROUP}/mutatingwebhookconfigurations/mutating-hooks", body)
    await kubectl.ok("POST", PODS, pod())


async def test_a_webhook_may_refuse_with_its_own_words(kubectl: Kubectl, webhooks: ScriptedWebhooks) -> None:
    webhooks.scripts[URL] = lambda _: {"allowed": False, "status": {"code": 403, "message": "no"}}
    await register(kubectl, hook(), kind="validating")
    refusal = await kubectl.refused("POST", PODS, pod())
    assert refusal["message"] == 'admission webhook "hook.example.org" denied the request: no'
    assert refusal["code"] == 403


@pytest.mark.parametrize(
    "more",
    [
        {"objectSelector": {"matchLabels": {"a": "b"}}},
        {"namespaceSelector": {"matchLabels": {"a": "b"}}},
        {"rules": [{"operations": ["UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]},
        {"rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/status"]}]},
        {
            "objectSelector": {
                "matchExpressions": [{"key": "skip", "operator": "DoesNotExist"}, {"key": "x", "operator": "Exists"}]
            }
        },
    ],
)
async def test_a_webhook_is_not_asked_about_what_it_did_not_choose(
    kubectl: Kubectl, webhooks: ScriptedWebhooks, more: dict[str, object]
) -> None:
    await register(kubectl, hook(**more))
    await kubectl.ok("POST", PODS, pod())
    assert webhooks.asked == []


async def test_a_webhook_is_asked_again_when_a_later_one_changed_the_object(
    kubectl: Kubectl, webhooks: ScriptedWebhooks
) -> None:
    second = URL + "/second"
    webhooks.scripts = {URL: annotate("one"), second: annotate("two")}
    await register(kubectl, hook("one.example.org", reinvocationPolicy="IfNeeded"), hook("two.example.org", second))
    await kubectl.ok("POST", PODS, pod())
    assert [url for url, _ in webhooks.asked] == [URL, second, URL]


async def test_what_a_webhook_adds_is_defaulted_and_checked(kubectl: Kubectl, webhooks: ScriptedWebhooks) -> None:
    container = {"name": "side", "image": "x"}
    webhooks.scripts[URL] = lambda _: patching({"op": "add", "path": "/spec/containers/-", "value": container})
    await register(kubectl, hook())
    made = await kubectl.ok("POST", PODS, pod())
    assert made["spec"]["containers"][1]["imagePullPolicy"]


async def test_a_patch_that_cannot_be_applied_is_an_internal_error(
    kubectl: Kubectl, webhooks: ScriptedWebhooks
) -> None:
    webhooks.scripts[URL] = lambda _: patching({"op": "remove", "path": "/nowhere"})
    await register(kubectl, hook())
    assert (await kubectl.refused("POST", PODS, pod()))["code"] == 500


async def test_admission_is_repeated_when_the_object_moved_meanwhile(
    kubectl: Kubectl, webhooks: ScriptedWebhooks
) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    rules = [{"operations": ["UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]
    await kubectl.ok("POST", path, {"metadata": {"name": "c"}, "data": {"a": "1"}})
    store = kubectl.cluster.store

    def moving(request: dict[str, Any]) -> dict[str, Any]:
        if len(webhooks.asked) == 1:
            entry = store.list("keyless", "", "configmaps")[0]
            store.put(entry.key, {**entry.object, "data": {"a": "1", "meanwhile": "x"}})
        return {"allowed": True}

    webhooks.scripts[URL] = moving
    await register(kubectl, hook(rules=rules))
    merge = "application/merge-patch+json"
    changed = await kubectl.ok("PATCH", f"{path}/c", {"data": {"b": "2"}}, content_type=merge)
    assert changed["data"] == {"a": "1", "b": "2", "meanwhile": "x"}
    assert len(webhooks.asked) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"response":null}',
        b'{"response":{"uid":"other","allowed":true}}',
        b'{"response":{"uid":"u"}}',
        b'{"response":{"uid":"u","allowed":true,"patch":"e30="}}',
        b'{"response":{"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"e30="}}',
        b'{"response":{"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"!"}}',
        b'{"response":{"uid":"u","allowed":true,"status":{"code":"x"}}}',
    ],
)
def test_an_answer_that_is_no_review_is_told_as_such(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        read_untrusted("u", body)


def owned(obj: dict[str, Any]) -> str:
    """All that somebody owns, as text."""
    return " ".join(str(entry["fieldsV1"]) for entry in obj["metadata"].get("managedFields", []))


async def test_what_a_webhook_adds_is_nobody_s_and_conflicts_with_no_apply(
    kubectl: Kubectl, webhooks: ScriptedWebhooks
) -> None:
    webhooks.scripts[URL] = annotate("added")
    await register(kubectl, hook())
    made = await kubectl.ok("POST", PODS, pod(), params={"fieldManager": "me"})
    assert made["metadata"]["annotations"] == {"added": "yes"}
    assert "f:image" in owned(made)
    assert "added" not in owned(made)
    # The token's volume is admission's, too.
    assert "kube-api-access" not in owned(made)
    theirs = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": {"added": "no"}}}
    applied = await kubectl.ok(
        "PATCH",
        f"{PODS}/p",
        theirs,
        content_type="application/apply-patch+yaml",
        params={"fieldManager": "other", "force": "false"},
    )
    assert applied["metadata"]["annotations"] == {"added": "no"}


async def test_a_webhook_cannot_say_who_owns_a_field(kubectl: Kubectl, webhooks: ScriptedWebhooks) -> None:
    webhooks.scripts[URL] = lambda _: patching({"op": "add", "path": "/metadata/managedFields", "value": []})
    rule = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    await register(kubectl, hook(rules=[rule]))
    made = await kubectl.ok("POST", PODS, pod(), params={"fieldManager": "me"})
    assert "f:image" in owned(made)
    changed = await kubectl.ok(
        "PATCH",
        f"{PODS}/p",
        {"metadata": {"labels": {"a": "b"}}},
        content_type="application/merge-patch+json",
        params={"fieldManager": "you"},
    )
    assert [entry["manager"] for entry in changed["metadata"]["managedFields"]] == ["me", "you"]
