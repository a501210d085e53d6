"""One write, all or nothing: whatever is refused, and wherever a sync is killed, no key is ever lost."""

import base64
import json
from contextlib import suppress

import pytest

from keyless.kube import Forbidden, Invalid, Name, Rejected
from keyless.kube.errors import failure_status
from keyless.kube.resources import SECRETS
from keyless.shared_secrets.sync.plan import SECONDS_TO_LOOK_FOR_TARGET
from keyless.shared_secrets.sync.target import ADOPT, REPLACE
from keyless.shared_secrets.sync.writing import NotSynced
from unit.shared_secrets.bench import Bench, db
from unit.shared_secrets.fakes import a_value, an_external_secret

DOCKER = json.dumps({"auths": {}})
REPLACED = {"metadata": {"annotations": {REPLACE: "true"}}}


class Killed(BaseException):
    """The process ends here: nothing of ours may run on."""


def template(**template):
    return {"spec": {"target": {"template": template}}}


def of_docker(key=".dockerconfigjson"):
    return template(type="kubernetes.io/dockerconfigjson", data={key: DOCKER})


def renamed(to):
    return {"spec": {"data": [a_value(to, "db/password")]}}


def quota(operation, plural, obj):
    if plural == "secrets":
        raise Forbidden(failure_status(403, "Forbidden", 'secrets "db" is forbidden: exceeded quota: one'))
    return obj


def webhook(operation, plural, obj):
    if plural == "secrets":
        raise Rejected(failure_status(400, "BadRequest", "admission webhook denied the request: hunter2"))
    return obj


async def a_synced(rules=None, **spec):
    bench = Bench(rules, secrets={"db/password": "hunter2", "big": "x" * 1048577, "s": "v"})
    await bench.sync(db(**spec))
    bench.kube.calls.clear()
    return bench


REFUSALS = {
    "another type": (of_docker(), None, "is of type Opaque, the type of a Secret is immutable"),
    "a type whose key is missing": (of_docker("wrong"), None, "is of type Opaque"),
    "a key that is none": (template(data={"a b": "x"}), None, "key 'a b' is none"),
    "a key of two dots": (template(data={"..": "x"}), None, "key '..' is none"),
    "a label's value that is none": (template(metadata={"labels": {"a": "b c"}}), None, "the value of label 'a'"),
    "a label that is none": (template(metadata={"labels": {"a b/c": "x"}}), None, "label 'a b/c' is none"),
    "an annotation that is none": (template(metadata={"annotations": {"/": "x"}}), None, "annotation '/' is none"),
    "annotations without end": (
        template(metadata={"annotations": {"a": "x" * 262144}}),
        None,
        "annotations are longer",
    ),
    "more than a Secret holds": ({"spec": {"data": [a_value("k", "big")]}}, None, "1048577 bytes"),
    "a quota that is used up": (renamed("new"), quota, "Kubernetes answered Forbidden"),
    "a webhook that says no": (renamed("new"), webhook, "Kubernetes answered BadRequest"),
    "a token's type": (template(type="kubernetes.io/service-account-token", data={"k": "x"}), None, "is not allowed"),
    "a bootstrap token's type": (template(type="bootstrap.kubernetes.io/token", data={"k": "x"}), None, "not allowed"),
    "a service account's annotation": (
        template(metadata={"annotations": {"kubernetes.io/service-account.name": "admin"}}),
        None,
        "kubernetes.io/service-account.name is not allowed",
    ),
    "a template that makes that annotation": (
        template(templateFrom=[{"target": "Annotations", "literal": "kubernetes.io/service-account.name: admin"}]),
        None,
        "kubernetes.io/service-account.name is not allowed",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refused_write_changes_nothing_and_says_why(name):
    change, admit, words = REFUSALS[name]
    bench = await a_synced()
    before = await bench.secret()
    await bench.change(change)
    bench.kube.admit = admit or bench.kube.admit
    status, reason, message = await bench.fails()
    assert (status, reason) == ("False", "SecretSyncedError")
    assert words in message
    assert "hunter2" not in message
    assert await bench.secret() == before


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_was_refused_is_written_once_the_spec_is_mended(name):
    change, admit, _ = REFUSALS[name]
    bench = await a_synced()
    await bench.change(change)
    ordinary = bench.kube.admit
    bench.kube.admit = admit or ordinary
    await bench.fails()
    bench.kube.admit = ordinary
    await bench.change({"spec": {"data": [a_value("mended", "db/password")], "target": {"template": None}}})
    await bench.sync()
    assert await bench.data() == {"mended": "hunter2"}


CHANGES = {
    "a key renamed": renamed("new"),
    "a key added": {"spec": {"data": [a_value("password", "db/password"), a_value("more", "s")]}},
    "a template": template(data={"dsn": "{{ .password }}"}),
    "labels": template(metadata={"labels": {"a": "b"}}),
    "a target renamed": {"spec": {"target": {"name": "other"}}},
    "a replacement": {**of_docker(), **REPLACED},
}


@pytest.mark.parametrize("step", range(12))
@pytest.mark.parametrize("name", CHANGES)
async def test_killed_before_any_request_every_key_is_still_somewhere_and_the_next_sync_finishes(name, step):
    bench = await a_synced()
    await bench.change(CHANGES[name])
    await killed_at(bench, step)
    held = [secret for secret in bench.kube.stored(SECRETS, "app") if secret.get("data")]
    assert held, "a Secret with all keys, old or new, is there at every moment"
    for secret in held:
        assert len(secret["data"]) == len(set(secret["data"])) >= 1
    bench.restart()
    await bench.sync()
    assert (await bench.ready())[0] == "True"
    names = [secret["metadata"]["name"] for secret in bench.kube.stored(SECRETS, "app")]
    assert names == [bench.target_of(await bench.object())]


@pytest.mark.parametrize("step", range(12))
async def test_killed_inside_a_replacement_the_new_secret_comes_without_its_provider(step):
    bench = await a_synced()
    await bench.change(CHANGES["a replacement"])
    await killed_at(bench, step)
    bench.aws.refuse["GetSecretValue"] = "InternalServiceError"
    bench.restart()
    with suppress(NotSynced):
        await bench.sync()
    assert (await bench.secret()).get("data")


async def killed_at(bench, step):
    seen = []

    def kill(request):
        seen.append(request)
        if len(seen) > step:
            raise Killed

    before, bench.kube.before = bench.kube.before, kill
    try:
        await bench.controller.reconcile(Name("app", "db"))
    except Killed:
        pass
    finally:
        bench.kube.before = before


async def test_a_key_is_renamed_in_one_write():
    bench = await a_synced()
    await bench.change(renamed("new"))
    seen = []
    ordinary = bench.kube.admit

    def watch(operation, plural, obj):
        if plural == "secrets":
            seen.append(sorted(obj["data"]))
        return obj

    bench.kube.admit = watch
    await bench.sync()
    bench.kube.admit = ordinary
    assert seen == [["new"]]


async def test_what_changes_nothing_is_not_written():
    bench = await a_synced()
    await bench.change(
        {
            "metadata": {"annotations": {"force-sync": "1"}},
            "spec": {"target": {"template": {"data": {"password": "{{ .password }}"}}}},
        }
    )
    before = await bench.secret()
    await bench.sync()
    await bench.change({"metadata": {"annotations": {"force-sync": "2"}}})
    bench.kube.calls.clear()
    await bench.sync()
    assert not [call for call in bench.kube.calls if call.startswith(("PUT", "POST")) and "/secrets" in call]
    assert (await bench.secret())["data"] == before["data"]


async def test_a_replacement_needs_ownership_and_the_annotation():
    bench = await a_synced()
    uid = (await bench.secret())["metadata"]["uid"]
    await bench.change(of_docker())
    _, _, message = await bench.fails()
    command = "kubectl -n app annotate externalsecret db keyless.dev/replace=true"
    assert command in message
    await bench.change(REPLACED)
    await bench.sync()
    secret = await bench.secret()
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert secret["metadata"]["uid"] != uid
    assert [s["metadata"]["name"] for s in bench.kube.stored(SECRETS, "app")] == ["db"]


@pytest.mark.parametrize("creation", ["Merge", "CreateOrMerge", "Orphan"])
async def test_what_is_not_owned_is_never_replaced(creation):
    bench = Bench(secrets={"db/password": "x"})
    mine = {"metadata": {"name": "db", "namespace": "app", "annotations": {ADOPT: "true"}}, "type": "Opaque"}
    bench.kube.put(SECRETS, {**mine, "data": {"own": "eA=="}})
    spec = db(target={"creationPolicy": creation, **of_docker()["spec"]["target"]})
    spec["metadata"]["annotations"] = {REPLACE: "true"}
    _, _, message = await bench.fails(spec)
    assert "does not replace it" in message
    assert await bench.data() == {"own": "x"}


async def test_an_immutable_secret_is_replaced_when_asked_to():
    bench = await a_synced(target={"immutable": True})
    await bench.change({**renamed("new"), **REPLACED})
    await bench.sync()
    assert await bench.data() == {"new": "hunter2"}
    assert (await bench.secret())["immutable"] is True


async def test_a_replacement_that_kubernetes_refuses_changes_nothing():
    bench = await a_synced()
    before = await bench.secret()
    await bench.change({**of_docker("wrong"), **REPLACED})
    _, _, message = await bench.fails()
    assert message == "could not update secret: Kubernetes answered Invalid for data (FieldValueRequired)"
    assert bench.kube.stored(SECRETS, "app") == [before]


async def test_keys_labels_and_annotations_of_others_stay_and_ours_go():
    bench = Bench(secrets={"a": "1", "b": "2"})
    bench.kube.put(SECRETS, {"metadata": {"name": "db", "namespace": "app"}, "data": {"own": "eA=="}})
    labels = {"template": {"metadata": {"labels": {"one": "1"}}}}
    spec = an_external_secret(data=[a_value("a", "a"), a_value("b", "b")], target={"creationPolicy": "Merge", **labels})
    await bench.sync(spec)
    await bench.kube.patch(SECRETS, "db", {"metadata": {"labels": {"theirs": "x"}}, "data": {"more": "eA=="}}, "app")
    await bench.change(
        {
            "spec": {
                "data": [a_value("b", "b")],
                "target": {"template": {"metadata": {"labels": {"one": None, "two": "2"}}}},
            }
        }
    )
    await bench.sync()
    assert await bench.data() == {"own": "x", "more": "x", "b": "2"}
    found = (await bench.secret())["metadata"]["labels"]
    assert (found.get("one"), found["two"], found["theirs"]) == (None, "2", "x")


async def test_a_write_that_races_with_another_is_decided_anew():
    bench = await a_synced(target={"creationPolicy": "CreateOrMerge"})
    await bench.change(renamed("new"))
    once = []

    def interfere(request):
        if request.method == "PUT" and not once:
            once.append(1)
            live = bench.kube.stored(SECRETS, "app")[0]
            bench.kube.put(SECRETS, {**live, "data": {**live["data"], "theirs": "eA=="}})

    bench.kube.before = interfere
    await bench.sync()
    assert await bench.data() == {"new": "hunter2", "theirs": "x"}


async def test_a_race_that_never_ends_is_said():
    bench = await a_synced()
    await bench.change(renamed("new"))

    def interfere(request):
        if request.method == "PUT":
            live = bench.kube.stored(SECRETS, "app")[0]
            labels = {**live["metadata"]["labels"], "n": live["metadata"]["resourceVersion"]}
            bench.kube.put(SECRETS, {**live, "metadata": {**live["metadata"], "labels": labels}})

    bench.kube.before = interfere
    assert (await bench.fails())[:2] == ("False", "TargetContended")


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def foreign(**metadata):
    metadata = {"name": "db", "namespace": "app", **metadata}
    return {"metadata": metadata, "type": "Opaque", "data": {"own": encoded("theirs")}}


@pytest.mark.parametrize("creation", ["Owner", "Orphan"])
async def test_a_secret_that_nobody_owns_is_not_taken_over_until_somebody_says_so(creation):
    bench = Bench(secrets={"db/password": "x"})
    bench.kube.put(SECRETS, foreign())
    _, _, message = await bench.fails(db(target={"creationPolicy": creation}))
    assert "kubectl -n app annotate secret db keyless.dev/adopt=true" in message
    assert await bench.data() == {"own": "theirs"}
    assert bench.aws.calls == []
    await bench.kube.patch(SECRETS, "db", {"metadata": {"annotations": {ADOPT: "true"}}}, "app")
    await bench.sync()
    assert await bench.data() == {"password": "x"}


async def test_the_external_secret_may_say_so_too_and_its_word_is_not_copied():
    bench = Bench(secrets={"db/password": "x"})
    bench.kube.put(SECRETS, foreign())
    spec = db()
    spec["metadata"]["annotations"] = {ADOPT: "true"}
    await bench.sync(spec)
    assert await bench.data() == {"password": "x"}
    assert ADOPT not in (await bench.secret())["metadata"]["annotations"]


async def test_what_this_external_secret_left_is_its_own_again():
    bench = await a_synced()
    await bench.kube.patch(SECRETS, "db", {"metadata": {"ownerReferences": None}}, "app")
    await bench.sync()
    assert (await bench.secret())["metadata"]["ownerReferences"][0]["name"] == "db"


async def test_what_this_external_secret_made_is_its_own_also_without_any_mark():
    bench = await a_synced()
    await bench.kube.patch(
        SECRETS, "db", {"metadata": {"ownerReferences": None, "labels": None, "annotations": None}}, "app"
    )
    await bench.sync()
    assert (await bench.secret())["metadata"]["ownerReferences"][0]["name"] == "db"


@pytest.mark.parametrize("after", ["Owner", "Orphan"])
@pytest.mark.parametrize("before", ["Merge", "CreateOrMerge"])
async def test_what_was_merged_into_a_persons_secret_does_not_make_the_rest_ours(before, after):
    bench = Bench(secrets={"db/password": "x"})
    bench.kube.put(SECRETS, foreign())
    await bench.sync(db(target={"creationPolicy": before}))
    await bench.change({"spec": {"target": {"creationPolicy": after}}})
    assert "nobody owns it" in (await bench.fails())[2]
    assert await bench.data() == {"own": "theirs", "password": "x"}
    await bench.kube.patch(SECRETS, "db", {"metadata": {"annotations": {ADOPT: "true"}}}, "app")
    await bench.sync()
    assert await bench.data() == {"password": "x"}


async def test_the_answer_of_who_lets_a_secret_be_taken_over_is_soon_seen():
    bench = Bench(secrets={"db/password": "x"})
    bench.kube.put(SECRETS, foreign())
    with pytest.raises(NotSynced) as refused:
        await bench.sync(db())
    assert refused.value.retry_after_seconds == SECONDS_TO_LOOK_FOR_TARGET <= 10


async def test_a_secret_that_was_restored_with_its_old_owner_is_taken_over_before_the_collector_comes():
    bench = Bench(secrets={"db/password": "x"})
    owner = {"kind": "ExternalSecret", "name": "db", "uid": "gone", "apiVersion": "external-secrets.io/v1"}
    bench.kube.put(SECRETS, foreign(ownerReferences=[{**owner, "controller": True}]))
    await bench.sync(db())
    assert await bench.data() == {"password": "x"}
    (found,) = (await bench.secret())["metadata"]["ownerReferences"]
    assert found["uid"] == (await bench.object())["metadata"]["uid"]


async def test_what_another_external_secret_left_is_not():
    bench = Bench(secrets={"db/password": "x"})
    labels = {"reconcile.external-secrets.io/managed": "true", "reconcile.external-secrets.io/created-by": "other"}
    bench.kube.put(SECRETS, foreign(labels=labels))
    assert "nobody owns it" in (await bench.fails(db()))[2]
    assert await bench.data() == {"own": "theirs"}


async def test_an_orphan_of_ours_is_written_again():
    bench = await a_synced(target={"creationPolicy": "Orphan"})
    await bench.change(renamed("new"))
    await bench.sync()
    assert await bench.data() == {"new": "hunter2"}


async def test_an_old_target_that_somebody_freed_of_its_owner_is_not_deleted():
    bench = await a_synced()
    await bench.kube.patch(SECRETS, "db", {"metadata": {"ownerReferences": None}}, "app")
    await bench.change({"spec": {"target": {"name": "new"}}})
    await bench.sync()
    assert await bench.data("db") == await bench.data("new") == {"password": "hunter2"}


@pytest.mark.parametrize("type_", ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"])
@pytest.mark.parametrize("creation", ["Owner", "Orphan", "Merge", "CreateOrMerge"])
async def test_a_credential_of_the_control_plane_is_left_alone_whatever_the_policy(type_, creation):
    bench = Bench({"adopts": True}, secrets={"db/password": "x"})
    bench.kube.put(SECRETS, {**foreign(annotations={ADOPT: "true"}), "type": type_})
    _, _, message = await bench.fails(db(target={"creationPolicy": creation}))
    assert f"is of type {type_}, which is left alone" in message
    assert await bench.data() == {"own": "theirs"}
    assert bench.aws.calls == []


async def test_a_service_accounts_annotation_on_the_external_secret_is_not_copied():
    bench = Bench(secrets={"db/password": "x"})
    spec = db()
    spec["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "admin"}
    await bench.sync(spec)
    assert "kubernetes.io/service-account.name" not in (await bench.secret())["metadata"]["annotations"]


@pytest.mark.parametrize("refusal", [Invalid, Forbidden])
async def test_a_deletion_that_is_refused_is_said(refusal):
    bench = await a_synced()
    await bench.change({"spec": {"target": {"name": "new"}}})

    def refuse(request):
        if request.method == "DELETE":
            raise refusal(failure_status(403, "Forbidden", "hunter2"))

    bench.kube.before = refuse
    assert (await bench.fails())[2] == "could not delete orphaned secrets: Kubernetes answered Forbidden"
    bench.kube.before = lambda request: None
    await bench.sync()
    assert [s["metadata"]["name"] for s in bench.kube.stored(SECRETS, "app")] == ["new"]
