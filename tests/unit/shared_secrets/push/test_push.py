"""From a Secret to AWS: all or nothing, nobody else's is touched, and nothing that is told holds a value."""

import base64
import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from keyless.api import KeylessError
from keyless.kube import Name
from keyless.kube.errors import error_of, failure_status
from keyless.kube.resources import EVENTS, PUSHSECRETS, SECRETS
from keyless.shared_secrets.push.controller import NotPushed, PushController
from keyless.shared_secrets.push.model import Item
from keyless.shared_secrets.push.opening import opens
from keyless.shared_secrets.push.plan import FINALIZER, PushFault, Remote, source, write_of
from keyless.shared_secrets.stores.resolution import StorePolicy, Stores
from keyless.shared_secrets.stores.scopes import Scope
from keyless.shared_secrets.stores.sessions import Place
from unit.shared_secrets.bench import Facts
from unit.shared_secrets.fakes import PLANTED, FakeAws, FakeSessions, InlineRenderer, a_space, a_store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MANAGED = [{"Key": "managed-by", "Value": "external-secrets"}]
KEYS = st.text("abc.", min_size=1, max_size=4)
MEMBERS = st.dictionaries(KEYS, st.text(max_size=5) | st.integers(), max_size=4)


class Aws(FakeAws):
    """Both services, for writing; ``tags`` by name."""

    def __init__(self, **held):
        super().__init__(**held)
        self.tags, self.deleted = {}, set()

    @property
    def writes(self):
        return [name for name, _ in self.calls if name.startswith(("Put", "Create", "Delete"))]

    def DescribeSecret(self, **asked):
        name = asked["SecretId"]
        if name not in self.secrets and name not in self.deleted:
            self._no("DescribeSecret", "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        return {"Tags": self.tags.get(name, []), "DeletedDate": NOON if name in self.deleted else None}

    def CreateSecret(self, **asked):
        assert asked["Name"] not in self.secrets
        self.secrets[asked["Name"]] = asked.get("SecretString", asked.get("SecretBinary"))
        self.tags[asked["Name"]] = asked["Tags"]

    def PutSecretValue(self, **asked):
        self.secrets[asked["SecretId"]] = asked.get("SecretString", asked.get("SecretBinary"))

    def DeleteSecret(self, **asked):
        del self.secrets[asked["SecretId"]]
        self.deleted.add(asked["SecretId"])

    def PutParameter(self, **asked):
        assert asked["Name"] not in self.parameters or asked["Overwrite"]
        assert not (asked.get("Overwrite") and asked.get("Tags")), "AWS refuses both"
        self.parameters[asked["Name"]] = asked["Value"]
        self.tags.setdefault(asked["Name"], asked.get("Tags"))

    def ListTagsForResource(self, **asked):
        return {"TagList": self.tags.get(asked["ResourceId"], [])}

    def DeleteParameter(self, **asked):
        del self.parameters[asked["Name"]]


class Pushing:
    """One control plane, a Secret ``db`` in ``app``, and two stores."""

    def __init__(self, scopes=None, **held):
        self.kube, self.aws, self.now = a_space()[1], Aws(**held), NOON
        facts = Facts(a_store(), a_store("params", service="ParameterStore"))
        place = Place("tenant", self.kube)
        stores = Stores(
            facts,
            FakeSessions(self.aws),
            tenant=place,
            host=place,
            group="default",
            host_namespace="h",
            policy=StorePolicy(tenant_stores_may_use_controller_identity=True, scopes=scopes),
        )
        self.secret(password=PLANTED, user="ada")
        self.controller = PushController(self.kube, opens(stores), InlineRenderer(), facts.store, lambda: self.now)

    def secret(self, **values):
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.kube.put(SECRETS, {"metadata": {"name": "db", "namespace": "app"}, "data": data})

    async def push(self, obj=None):
        if obj is not None:
            self.kube.put(PUSHSECRETS, obj)
        return await self.controller.reconcile(Name("app", "push"))

    async def refused(self, obj=None):
        with pytest.raises(NotPushed):
            await self.push(obj)
        return (await self.ready())[2]

    async def status(self):
        return (await self.kube.get(PUSHSECRETS, "push", "app"))["status"]

    async def ready(self):
        one = (await self.status())["conditions"][0]
        return one["status"], one["reason"], one["message"]


def item(remote, key="password", **more):
    ref = {"remoteKey": remote, **{name: more.pop(name) for name in ("property",) if name in more}}
    return {"match": {"remoteRef": ref, **({"secretKey": key} if key else {})}, **more}


def a_push(*items, stores=("aws",), finalizers=(), **spec):
    metadata = {"name": "push", "namespace": "app", "generation": 1, "finalizers": list(finalizers)}
    refs = [{"name": name} for name in stores]
    selector = {"secret": {"name": "db"}}
    return {"metadata": metadata, "spec": {"secretStoreRefs": refs, "selector": selector, "data": list(items), **spec}}


async def test_a_new_secret_is_made_with_the_tag_from_its_first_moment():
    pushing = Pushing()
    assert await pushing.push(a_push(item("prod/db"))) == 3600
    assert pushing.aws.secrets == {"prod/db": PLANTED}
    assert pushing.aws.tags["prod/db"] == MANAGED
    assert await pushing.ready() == ("True", "Synced", "PushSecret synced successfully")
    assert (await pushing.status())["syncedPushSecrets"] == {
        "SecretStore/aws": {"prod/db": {"match": {"remoteRef": {"remoteKey": "prod/db"}, "secretKey": "password"}}}
    }


async def test_both_services_and_the_whole_secret():
    pushing = Pushing()
    await pushing.push(a_push(item("all", key=""), stores=("aws", "params")))
    whole = json.dumps({"password": PLANTED, "user": "ada"}, separators=(",", ":"))
    assert pushing.aws.secrets == {"all": whole}
    assert pushing.aws.parameters == {"all": whole}
    put = next(asked for name, asked in pushing.aws.calls if name == "PutParameter")
    assert (put["Type"], put["Tags"]) == ("SecureString", MANAGED)


async def test_what_is_the_same_is_not_written_again_and_a_change_is_once_the_interval_is_over():
    pushing = Pushing()
    await pushing.push(a_push(item("k"), stores=("aws", "params"), refreshInterval="1h"))
    pushing.aws.calls.clear()
    pushing.now += timedelta(minutes=59)
    assert await pushing.push() == 60
    assert pushing.aws.calls == []
    pushing.now += timedelta(minutes=1)
    await pushing.push()
    assert pushing.aws.writes == []
    pushing.secret(password="new", user="ada")
    pushing.now += timedelta(hours=1)
    await pushing.push()
    assert (pushing.aws.secrets["k"], pushing.aws.parameters["k"]) == ("new", "new")


@pytest.mark.parametrize("store", ["aws", "params"])
async def test_what_somebody_else_made_is_not_overwritten_and_nothing_else_is_written_then(store):
    pushing = Pushing(secrets={"b": "theirs"}, parameters={"b": "theirs"})
    message = await pushing.refused(a_push(item("a"), item("b", key="user"), stores=(store,)))
    assert "remote key b is not managed by external-secrets" in message
    assert pushing.aws.writes == []
    assert "theirs" not in message


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
async def test_what_cannot_be_looked_at_stops_everything_before_the_first_write(code):
    pushing = Pushing()
    pushing.aws.refuse["GetParameter"] = code
    message = await pushing.refused(a_push(item("a"), stores=("aws", "params")))
    assert f"GetParameter: {code}" in message
    assert pushing.aws.writes == []


async def test_if_not_exists_leaves_what_is_there_whoever_made_it():
    pushing = Pushing(secrets={"k": "theirs"})
    await pushing.push(a_push(item("k"), updatePolicy="IfNotExists"))
    assert pushing.aws.secrets == {"k": "theirs"}
    assert pushing.aws.writes == []


async def test_a_property_is_put_beside_the_others():
    pushing = Pushing(secrets={"k": '{"a":1,"n":{"x":"y"}}'})
    pushing.aws.tags["k"] = MANAGED
    await pushing.push(a_push(item("k", property="n.password"), item("k", key="user", property="user")))
    assert json.loads(pushing.aws.secrets["k"]) == {"a": 1, "n": {"x": "y", "password": PLANTED}, "user": "ada"}
    assert pushing.aws.writes == ["PutSecretValue"]


async def test_deletion_takes_what_was_pushed_and_no_more():
    pushing = Pushing(secrets={"shared": '{"a":"1"}', "theirs": "t"})
    pushing.aws.tags["shared"] = MANAGED
    both = a_push(item("mine"), item("shared", property="password"), deletionPolicy="Delete")
    await pushing.push(both)
    assert FINALIZER in (await pushing.kube.get(PUSHSECRETS, "push", "app"))["metadata"]["finalizers"]
    await pushing.kube.delete(PUSHSECRETS, "push", "app")
    await pushing.push()
    assert pushing.aws.secrets == {"shared": '{"a":"1"}', "theirs": "t"}
    with pytest.raises(KeylessError):
        await pushing.status()


async def test_an_item_that_is_dropped_goes_with_the_policy_and_stays_without():
    for policy, left in (("Delete", {"a": PLANTED}), ("None", {"a": PLANTED, "b": "ada"})):
        pushing = Pushing()
        await pushing.push(a_push(item("a"), item("b", key="user"), deletionPolicy=policy))
        await pushing.kube.patch(PUSHSECRETS, "push", {"spec": {"data": [item("a")]}}, "app")
        await pushing.push()
        assert pushing.aws.secrets == left
        assert list((await pushing.status())["syncedPushSecrets"]["SecretStore/aws"]) == ["a"]


async def test_what_was_taken_over_is_not_deleted():
    pushing = Pushing()
    await pushing.push(a_push(item("a"), deletionPolicy="Delete"))
    pushing.aws.tags["a"] = []
    await pushing.kube.delete(PUSHSECRETS, "push", "app")
    await pushing.push()
    assert pushing.aws.secrets == {"a": PLANTED}


async def test_a_source_that_is_gone_deletes_nothing():
    pushing = Pushing()
    await pushing.push(a_push(item("a"), deletionPolicy="Delete", refreshInterval="1m"))
    await pushing.kube.delete(SECRETS, "db", "app")
    pushing.now += timedelta(minutes=2)
    assert "could not get source secret app/db" in await pushing.refused()
    assert pushing.aws.secrets == {"a": PLANTED}


async def test_stopped_before_any_call_the_next_push_comes_to_the_same_and_nothing_is_forgotten():
    wanted = a_push(item("a"), item("b", key="user"), stores=("aws", "params"), deletionPolicy="Delete")
    for stop in range(1, 16):
        pushing, calls = Pushing(), []
        real = pushing.aws.call

        async def counted(service, operation, /, calls=calls, real=real, stop=stop, **params):
            calls.append(operation)
            if len(calls) == stop:
                raise error_of(failure_status(500, "InternalError", "stopped"))
            return await real(service, operation, **params)

        pushing.aws.call = counted
        with contextlib.suppress(KeylessError):
            await pushing.push(wanted)
        made = set(pushing.aws.secrets) | set(pushing.aws.parameters)
        status = (await pushing.kube.get(PUSHSECRETS, "push", "app")).get("status") or {}
        known = {key for entries in (status.get("syncedPushSecrets") or {}).values() for key in entries}
        assert made <= known
        pushing.aws.call = real
        await pushing.push()
        assert pushing.aws.secrets == pushing.aws.parameters == {"a": PLANTED, "b": "ada"}


async def test_scopes_bound_writing_as_they_bound_reading():
    pushing = Pushing(scopes=(Scope(control_plane="", namespace="app", prefixes=("prod/",)),))
    message = await pushing.refused(a_push(item("prod/a"), item("other/a", key="user")))
    assert "KeyNotInScope" in message
    assert "may not write key 'other/a'" in message
    assert pushing.aws.writes == []
    await pushing.kube.patch(PUSHSECRETS, "push", {"spec": {"data": [item("prod/a")]}}, "app")
    await pushing.push()
    assert pushing.aws.secrets == {"prod/a": PLANTED}


@pytest.mark.parametrize("operation", ["CreateSecret", "PutParameter", "DescribeSecret"])
async def test_no_value_is_told_whatever_aws_says(operation):
    pushing = Pushing()

    def quoting(**_):
        pushing.aws._no(operation, "ValidationException", f"Value '{PLANTED}' at 'secretString' failed")

    setattr(pushing.aws, operation, quoting)
    with capture_logs() as logs:
        message = await pushing.refused(a_push(item("a"), stores=("aws", "params")))
    events = [event["message"] for event in (await pushing.kube.list(EVENTS)).items]
    assert PLANTED not in json.dumps([message, logs, events, await pushing.status()], default=repr)
    assert f"{operation}: ValidationException" in message


async def test_a_template_and_a_selector_make_what_is_pushed():
    pushing = Pushing()
    labelled = {"metadata": {"name": "other", "namespace": "app", "labels": {"push": "yes"}}, "data": {"a": "eA=="}}
    pushing.kube.put(SECRETS, labelled)
    spec = a_push(item("k", key="url"), template={"data": {"url": "postgres://{{ .a }}"}})
    spec["spec"]["selector"] = {"secret": {"selector": {"matchLabels": {"push": "yes"}}}}
    await pushing.push(spec)
    assert pushing.aws.secrets == {"k": "postgres://x"}


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([item("a", key="absent")], "secret key absent does not exist"),
        ([item("a"), item("a", key="user")], "more than one item writes a"),
        ([item("a"), item("a", key="user", property="p")], "more than one item writes a"),
        ([item("a", metadata={"spec": {"resourcePolicy": {}}})], "found resourcePolicy"),
    ],
)
async def test_what_cannot_be_pushed_is_told_by_name(items, said):
    pushing = Pushing()
    with contextlib.suppress(NotPushed):
        await pushing.push(a_push(*items))
    assert said in (await pushing.ready())[2]
    assert pushing.aws.writes == []


@given(MEMBERS, KEYS.filter(lambda name: name.strip(".") != ""), st.booleans())
def test_a_property_never_costs_another_member(held, name, replaces):
    remote = Remote(json.dumps(held).encode(), managed=True)
    try:
        write = write_of("k", [Item("k", "s", name)], {"s": b"new"}, remote, replaces=replaces)
    except PushFault:
        return
    after = json.loads(write.value if write else remote.value)
    changed = {key for key in held if after.get(key) != held[key]}
    assert changed <= {name, name.split(".")[0]}
    assert set(held) <= set(after)


@given(st.binary(max_size=20), st.booleans())
def test_one_value_is_written_as_it_is_or_not_at_all(value, managed):
    remote = Remote(b"old", managed=managed)
    if not managed and value != b"old":
        with pytest.raises(PushFault):
            write_of("k", [Item("k", "s")], {"s": value}, remote, replaces=True)
        return
    write = write_of("k", [Item("k", "s")], {"s": value}, remote, replaces=True)
    assert (write.value if write else b"old") == value


def test_unicode_escapes_in_keys_are_turned_back():
    assert source({"a_U0024_b": b"x"}, Item("k", "a$b", reverses_unicode=True)) == b"x"
