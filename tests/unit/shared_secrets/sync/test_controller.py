import json
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from keyless.kube import Invalid, NotFound
from keyless.kube.resources import CONFIGMAPS, EXTERNALSECRETS, SECRETS
from keyless.shared_secrets.sync.writing import NotSynced
from unit.shared_secrets.bench import UNGUARDED, Bench, db
from unit.shared_secrets.fakes import ARN, PLANTED, a_value, an_external_secret


async def test_a_value_arrives_with_external_secrets_marks_and_status():
    bench = Bench(secrets={"db/password": "hunter2"})
    assert 3600 <= await bench.sync(db()) <= 3660
    secret = await bench.secret()
    assert await bench.data() == {"password": "hunter2"}
    assert secret["type"] == "Opaque"
    assert secret["metadata"]["labels"]["reconcile.external-secrets.io/managed"] == "true"
    assert len(secret["metadata"]["labels"]["reconcile.external-secrets.io/created-by"]) == 56
    owner = secret["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ExternalSecret", "db", True)
    status = await bench.status()
    assert (await bench.ready()) == ("True", "SecretSynced", "secret synced")
    assert status["refreshTime"] == "2026-01-01T12:00:00Z"
    assert status["binding"] == {"name": "db"}
    assert status["syncedResourceVersion"].startswith("1-")
    assert bench.heard == ["read"]
    assert await bench.events() == [("Normal", "Created", "secret created")]


async def test_it_is_read_again_when_the_interval_is_over_and_not_before():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1m"))
    bench.aws.secrets["db/password"] = "two"
    bench.now += timedelta(seconds=59)
    assert 1 <= await bench.sync() <= 7
    assert (await bench.data())["password"] == "one"
    bench.now += timedelta(seconds=1)
    assert 60 <= await bench.sync() <= 66
    assert (await bench.data())["password"] == "two"


@pytest.mark.parametrize("spec", [{"refreshInterval": "0"}, {"refreshPolicy": "CreatedOnce"}])
async def test_what_is_read_once_stays(spec):
    bench = Bench(secrets={"db/password": "one"})
    assert await bench.sync(db(**spec)) is None
    bench.now += timedelta(days=9)
    await bench.sync()
    assert len(bench.aws.calls) == 1


@pytest.mark.parametrize("policy", ["Periodic", "OnChange"])
async def test_any_annotation_forces_a_read(policy):
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshPolicy=policy))
    bench.aws.secrets["db/password"] = "two"
    await bench.sync()
    assert (await bench.data())["password"] == "one"
    await bench.change({"metadata": {"annotations": {"force-sync": "1"}}})
    await bench.sync()
    assert (await bench.data())["password"] == "two"


@pytest.mark.parametrize("policy", ["Periodic", "CreatedOnce"])
async def test_a_target_that_was_tampered_with_or_deleted_is_restored(policy):
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshPolicy=policy))
    await bench.kube.patch(SECRETS, "db", {"data": {"password": "dHdv", "more": "eA=="}}, "app")
    await bench.sync()
    assert await bench.data() == {"password": "one"}
    await bench.kube.delete(SECRETS, "db", "app")
    await bench.sync()
    assert await bench.data() == {"password": "one"}


async def test_keys_that_are_no_longer_asked_for_vanish():
    bench = Bench(secrets={"a": "1", "b": "2"})
    await bench.sync(an_external_secret(data=[a_value("a", "a"), a_value("b", "b")]))
    await bench.change({"spec": {"data": [a_value("b", "b")]}})
    await bench.sync()
    assert await bench.data() == {"b": "2"}


async def test_data_comes_after_extract_and_a_secret_is_read_once():
    bench = Bench(secrets={"app": json.dumps({"user": "ada", "pass": "x", "a/b": "c"})})
    found = an_external_secret(dataFrom=[{"extract": {"key": "app"}}], data=[a_value("user", "app", property="pass")])
    await bench.sync(found)
    assert await bench.data() == {"user": "x", "pass": "x", "a_b": "c"}
    assert len(bench.aws.calls) == 1


async def test_parameters_versions_and_metadata():
    bench = Bench(secrets={"s": "v"}, parameters={"/p": "one", "/p:2": "two"})
    params = {"sourceRef": {"storeRef": {"name": "params"}}}
    await bench.sync(
        an_external_secret(
            data=[
                {**a_value("p", "/p"), **params},
                {**a_value("p2", "/p", version="2"), **params},
                a_value("stage", "s", version="AWSPREVIOUS"),
                a_value("id", "s", version="uuid/123"),
                a_value("team", "s", metadataPolicy="Fetch", property="team"),
            ]
        )
    )
    assert await bench.data() == {"p": "one", "p2": "two", "stage": "v", "id": "v", "team": "blue"}
    asked = [params for operation, params in bench.aws.calls if operation == "GetSecretValue"]
    assert asked == [
        {"SecretId": "s", "VersionStage": "AWSPREVIOUS"},
        {"SecretId": "s", "VersionId": "123"},
    ]


async def test_a_denial_is_told_with_the_key_the_code_and_the_request():
    bench = Bench()
    bench.aws.refuse["GetSecretValue"] = "AccessDeniedException"
    status, reason, message = await bench.fails(db())
    assert (status, reason) == ("False", "SecretSyncedError")
    assert message == (
        "could not get secret data from provider: key 'db/password' of SecretStore 'aws': GetSecretValue: "
        f"AccessDeniedException: User: {ARN} is not authorized to perform: GetSecretValue (request r-1)"
    )
    assert bench.heard == ["AccessDeniedException"]
    assert "refreshTime" not in await bench.status()
    kind, reason, _ = (await bench.events())[0]
    assert (kind, reason) == ("Warning", "UpdateFailed")


async def test_a_failure_is_remembered_for_its_backoff_and_a_person_goes_past_it():
    bench = Bench()
    await bench.fails(db())
    await bench.fails()
    assert len(bench.aws.calls) == 1
    bench.now += timedelta(seconds=1)
    await bench.fails()
    assert len(bench.aws.calls) == 2
    bench.aws.secrets["db/password"] = "x"
    await bench.change({"metadata": {"annotations": {"force-sync": "1"}}})
    await bench.sync()
    assert await bench.data() == {"password": "x"}


async def test_a_repeated_failure_is_one_event():
    bench = Bench()
    for _ in range(3):
        await bench.fails(None if _ else db())
        bench.now += timedelta(minutes=10)
    assert len(await bench.events()) == 1


async def test_retain_keeps_the_secret_when_the_source_is_gone():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1m"))
    bench.aws.secrets.clear()
    bench.now += timedelta(minutes=1)
    status, reason, message = await bench.fails()
    assert (status, reason) == ("False", "SecretSyncedError")
    assert "ResourceNotFoundException" in message
    assert await bench.data() == {"password": "one"}


async def test_delete_removes_the_secret_when_the_source_is_gone():
    bench = Bench(UNGUARDED, secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1m", target={"deletionPolicy": "Delete"}))
    bench.aws.secrets.clear()
    bench.now += timedelta(minutes=1)
    await bench.sync()
    assert (await bench.ready())[:2] == ("True", "SecretDeleted")
    with pytest.raises(NotFound):
        await bench.secret()
    calls = len(bench.aws.calls)
    await bench.sync()
    assert len(bench.aws.calls) == calls, "a deleted target is not read for before the next interval"


async def test_merge_deletion_drops_the_missing_key():
    bench = Bench(UNGUARDED, secrets={"a": "1", "b": "2"})
    spec = {"data": [a_value("a", "a"), a_value("b", "b")], "target": {"deletionPolicy": "Merge"}}
    await bench.sync(an_external_secret(refreshInterval="1m", **spec))
    del bench.aws.secrets["a"]
    bench.now += timedelta(minutes=1)
    await bench.sync()
    assert await bench.data() == {"b": "2"}
    assert ("Warning", "MissingProviderSecret") in [event[:2] for event in await bench.events()]


async def test_merge_adds_to_a_secret_and_never_creates_one():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(target={"creationPolicy": "Merge"}))
    assert (await bench.ready())[:2] == ("True", "SecretMissing")
    bench.kube.put(SECRETS, {"metadata": {"name": "db", "namespace": "app"}, "data": {"own": "eA=="}})
    await bench.sync()
    assert await bench.data() == {"own": "x", "password": "one"}
    assert "ownerReferences" not in (await bench.secret())["metadata"]
    calls = len(bench.aws.calls)
    await bench.sync()
    assert len(bench.aws.calls) == calls


async def test_orphan_creates_without_an_owner():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(target={"creationPolicy": "Orphan", "name": "free"}))
    assert "ownerReferences" not in (await bench.secret("free"))["metadata"]


async def test_an_unowned_secret_is_adopted_and_its_keys_replaced_where_the_values_say_so():
    bench = Bench({"adopts": True}, secrets={"db/password": "one"})
    bench.kube.put(SECRETS, {"metadata": {"name": "db", "namespace": "app"}, "data": {"old": "eA=="}})
    await bench.sync(db())
    assert await bench.data() == {"password": "one"}
    assert (await bench.secret())["metadata"]["ownerReferences"][0]["name"] == "db"


@pytest.mark.parametrize(("kind", "text"), [("ExternalSecret", "owned by another"), ("Thing", "take ownership")])
async def test_anothers_secret_is_left_alone(kind, text):
    bench = Bench(secrets={"db/password": "one"})
    owner = {"kind": kind, "name": "x", "uid": "u", "apiVersion": "v1", "controller": True}
    metadata = {"name": "db", "namespace": "app", "ownerReferences": [owner]}
    bench.kube.put(SECRETS, {"metadata": metadata, "data": {"old": "eA=="}})
    assert text in (await bench.fails(db()))[2]
    assert await bench.data() == {"old": "x"}
    assert bench.aws.calls == []


async def test_a_renamed_target_leaves_nothing_behind():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db())
    await bench.change({"spec": {"target": {"name": "new"}}})
    await bench.sync()
    assert await bench.data("new") == {"password": "one"}
    with pytest.raises(NotFound):
        await bench.secret("db")


async def test_labels_and_annotations_are_copied_without_a_template_but_not_kubectls_own():
    bench = Bench(secrets={"db/password": "one"})
    found = db()
    found["metadata"] |= {
        "labels": {"app": "x"},
        "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    }
    await bench.sync(found)
    metadata = (await bench.secret())["metadata"]
    assert metadata["labels"]["app"] == "x"
    assert sorted(metadata["annotations"]) == ["a", "reconcile.external-secrets.io/data-hash"]


async def test_a_template_makes_the_data_the_type_and_the_metadata():
    bench = Bench(secrets={"app": '{"user": "ada", "pass": "x"}'})
    bench.kube.put(CONFIGMAPS, {"metadata": {"name": "t", "namespace": "app"}, "data": {"url": "u={{ .user }}"}})
    template = {
        "type": "kubernetes.io/basic-auth",
        "metadata": {"labels": {"user": "{{ .user | upper }}"}},
        "data": {"dsn": "{{ .user }}:{{ .pass }}@db"},
        "templateFrom": [
            {"configMap": {"name": "t", "items": [{"key": "url"}]}},
            {"literal": "k: {{ .pass | quote }}\ncount: 5"},
        ],
    }
    await bench.sync(an_external_secret(dataFrom=[{"extract": {"key": "app"}}], target={"template": template}))
    secret = await bench.secret()
    assert await bench.data() == {"dsn": "ada:x@db", "url": "u=ada", "k": "x", "count": "5"}
    assert secret["type"] == "kubernetes.io/basic-auth"
    assert secret["metadata"]["labels"]["user"] == "ADA"


@pytest.mark.parametrize(
    "template", [{"metadata": {"labels": {"x": "y"}}}, {"data": {"k": "v"}, "mergePolicy": "Merge"}]
)
async def test_the_read_keys_stay_where_the_template_says_so(template):
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(target={"template": template}))
    assert (await bench.data())["password"] == "one"


async def test_an_immutable_target_that_would_change_is_refused():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db(refreshInterval="1m", target={"immutable": True}))
    assert (await bench.secret())["immutable"] is True
    bench.aws.secrets["db/password"] = "two"
    bench.now += timedelta(minutes=1)
    status, _, message = await bench.fails()
    assert (status, message.partition(";")[0]) == ("False", "could not update secret, target is immutable")


async def test_a_spec_that_cannot_be_is_told_and_not_retried():
    bench = Bench()
    assert await bench.sync(an_external_secret(dataFrom=[{"find": {}}])) is None
    assert "give name, path or tags" in (await bench.ready())[2]


async def test_reads_with_a_tenants_own_credentials_say_nothing_of_the_spaces():
    bench = Bench()
    await bench.fails(db(secretStoreRef={"name": "own"}))
    assert bench.heard == ["forgotten"]


async def test_a_missing_store_is_named():
    bench = Bench()
    assert "SecretStore 'nope' does not exist" in (await bench.fails(db(secretStoreRef={"name": "nope"})))[2]


@pytest.mark.parametrize(
    "spec",
    [
        {"data": [a_value("k", "s", property="absent")]},
        {"data": [a_value("k", "s", decodingStrategy="Base64")]},
        {"dataFrom": [{"extract": {"key": "s"}}]},
        {"data": [a_value("k", "s")], "target": {"template": {"data": {"k": "{{ .k.x }}{{ fromJson .k }}"}}}},
        {"data": [a_value("k", "s")], "target": {"template": {"data": {"k": "{{ b64dec .k }}"}}}},
        {"data": [a_value("k", "s")], "target": {"template": {"templateFrom": [{"literal": "{{ .k }}"}]}}},
    ],
)
async def test_no_value_reaches_a_status_an_event_or_a_log(spec):
    bench = Bench(secrets={"s": PLANTED + ":["})
    with capture_logs() as logs:
        await bench.fails(an_external_secret(**spec))
    told = json.dumps([await bench.status(), await bench.events(), logs], default=str)
    assert PLANTED not in told


async def test_a_refusal_of_kubernetes_is_told_without_its_quotes():
    bench = Bench(secrets={"db/password": PLANTED})

    def refuse(operation, plural, obj):
        if plural == "secrets":
            causes = [{"field": "data[password]", "reason": "FieldValueInvalid", "message": PLANTED}]
            status = {"kind": "Status", "code": 422, "reason": "Invalid", "message": PLANTED}
            raise Invalid({**status, "details": {"causes": causes}})
        return obj

    bench.kube.admit = refuse
    message = (await bench.fails(db()))[2]
    assert message == "could not update secret: Kubernetes answered Invalid for data (FieldValueInvalid)"


async def test_a_fault_of_ours_is_logged_by_its_place_alone():
    bench = Bench(secrets={"db/password": PLANTED})

    def broken(_token, /, **params):
        raise RuntimeError(PLANTED)

    bench.aws.GetSecretValue = broken
    bench.kube.put(EXTERNALSECRETS, db())
    with capture_logs() as logs, pytest.raises(NotSynced) as caught:
        await bench.sync()
    assert PLANTED not in json.dumps(logs) + str(caught.value)
    assert logs[0]["error"] == "TypeError"


async def test_a_deleted_external_secret_is_forgotten():
    bench = Bench(secrets={"db/password": "one"})
    await bench.sync(db())
    await bench.kube.delete(EXTERNALSECRETS, "db", "app")
    assert await bench.sync() is None
    labels = {"name": "db", "namespace": "app", "condition": "Ready", "status": "True"}
    assert bench.registry.get_sample_value("externalsecret_status_condition", labels) is None


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{{ $x := list 1 }}{{ range 40 }}{{ $x = list $x $x }}{{ end }}", "written out in full"),
        ("{{ range 1000000 }}{{ end }}", "more than 200000 steps"),
        ("{{ .absent }}", "'absent'"),
        ("{{ (dict .password `x`).missing }}", "'missing'"),
    ],
)
async def test_a_template_that_cannot_be_rendered_is_a_template_error_with_its_limit(template, told):
    bench = Bench(secrets={"db/password": PLANTED})
    status, reason, message = await bench.fails(db(target={"template": {"data": {"k": template}}}))
    assert (status, reason) == ("False", "TemplateError")
    assert told in message
    assert PLANTED not in message


async def test_names_that_a_template_makes_of_keys_come_from_the_renderer():
    bench = Bench(secrets={"app": '{"user": "ada", "pass": "x"}'})
    rewrite = [{"transform": {"template": "db_{{ .value | upper }}"}}, {"transform": {"template": "{{ .value }}2"}}]
    await bench.sync(an_external_secret(dataFrom=[{"extract": {"key": "app"}, "rewrite": rewrite}]))
    assert await bench.data() == {"db_USER2": "ada", "db_PASS2": "x"}


async def test_a_transform_that_fails_is_a_template_error_that_shows_no_key():
    bench = Bench(secrets={"app": f'{{"{PLANTED}": "ada"}}'})
    rewrite = [{"transform": {"template": "{{ fail .value }}"}}]
    status, reason, message = await bench.fails(
        an_external_secret(dataFrom=[{"extract": {"key": "app"}, "rewrite": rewrite}])
    )
    assert (status, reason) == ("False", "TemplateError")
    assert PLANTED not in message
