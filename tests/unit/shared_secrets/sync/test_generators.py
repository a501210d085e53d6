"""What generators make: as asked for, once a refresh, and never lost between two writes."""

import base64
import contextlib
import random
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.api import KeylessError
from keyless.kube.errors import error_of, failure_status
from keyless.kube.resources import ECRAUTHORIZATIONTOKENS, PASSWORDS, SECRETS, UUIDS
from keyless.shared_secrets.sync.generating import state_name
from keyless.shared_secrets.sync.generators import SYMBOLS, password_of, passwords, uuids
from keyless.shared_secrets.sync.model import GeneratorRef, SpecFault
from unit.shared_secrets.bench import Bench
from unit.shared_secrets.fakes import a_value, an_external_secret

HOUR = timedelta(hours=1, minutes=2)
CHANCE = random.SystemRandom()
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "length": st.integers(1, 60),
        "digits": st.integers(0, 12),
        "symbols": st.integers(0, 12),
        "symbolCharacters": st.text(SYMBOLS, min_size=1),
        "noUpper": st.booleans(),
        "allowRepeat": st.booleans(),
        "secretKeys": st.lists(st.text("abc", min_size=1), min_size=1, max_size=3, unique=True),
    },
)


@given(SPECS)
def test_a_password_is_what_was_asked_for_or_refused_by_name(spec):
    try:
        wanted = password_of(spec)
    except SpecFault:
        assert spec
        return
    made = passwords(wanted, CHANCE)
    assert list(made) == spec.get("secretKeys", ["password"])
    for value in made.values():
        text = value.decode()
        length = spec.get("length", 24)
        assert len(text) == length
        assert sum(c.isdigit() for c in text) == spec.get("digits", length // 4)
        assert sum(c in SYMBOLS for c in text) == spec.get("symbols", length // 4)
        assert not (spec.get("noUpper") and any(c.isupper() for c in text))
        assert spec.get("allowRepeat") or len(set(text)) == length


@pytest.mark.parametrize(
    ("encoding", "decode"),
    [
        ("hex", bytes.fromhex),
        ("base64", base64.b64decode),
        ("base64url", base64.urlsafe_b64decode),
        ("base32", base64.b32decode),
    ],
)
def test_a_password_is_encoded_as_asked(encoding, decode):
    made = passwords(password_of({"encoding": encoding}), CHANCE)["password"].decode()
    assert len(decode(made)) == 24


@pytest.mark.parametrize(
    "spec", [{"length": 0}, {"digits": 30}, {"encoding": "rot13"}, {"length": "x"}, {"digits": -1}]
)
def test_an_odd_password_is_refused(spec):
    with pytest.raises(SpecFault):
        password_of(spec)


def test_a_uuid_is_random_and_of_its_form():
    made = {uuids(CHANCE)["uuid"].decode() for _ in range(9)}
    assert len(made) == 9
    assert all(uuid.UUID(one).version == 4 for one in made)


def generated(kind="Password", name="p", **more):
    source = {"sourceRef": {"generatorRef": {"apiVersion": "generators.external-secrets.io/v1alpha1", "kind": kind}}}
    source["sourceRef"]["generatorRef"]["name"] = name
    return an_external_secret(dataFrom=[source], refreshInterval="1h", **more)


def a_bench(**spec):
    bench = Bench(secrets={"s": "x"})
    bench.kube.put(PASSWORDS, {"metadata": {"name": "p", "namespace": "app"}, "spec": spec})
    bench.kube.put(UUIDS, {"metadata": {"name": "u", "namespace": "app"}})
    return bench


async def test_a_value_changes_at_a_refresh_and_at_no_other_time():
    bench = a_bench()
    await bench.sync(generated())
    first = await bench.data()
    await bench.kube.delete(SECRETS, "db", "app")
    bench.restart()
    await bench.sync()
    assert await bench.data() == first, "a repair is no refresh"
    await bench.kube.patch(SECRETS, "db", {"data": {"password": "eA=="}}, "app")
    await bench.sync()
    assert await bench.data() == first
    bench.now += HOUR
    await bench.sync()
    second = await bench.data()
    assert second != first
    await bench.kube.delete(SECRETS, "db", "app")
    await bench.sync()
    assert await bench.data() == second


async def test_a_refresh_that_is_tried_again_has_the_value_of_its_first_try():
    bench = a_bench()
    await bench.sync(generated())
    bench.now += HOUR
    state = state_name("db", GeneratorRef("Password", "p"))
    tried = []

    def refuse(request):
        if request.method == "PUT" and request.path.endswith("/secrets/db"):
            tried.append(bench.kube.stored(SECRETS, "app"))
            raise error_of(failure_status(500, "InternalError", "no"))

    bench.kube.before = refuse
    for _ in range(3):
        await bench.fails()
    bench.kube.before = lambda _: None
    held = [one["data"] for objects in tried for one in objects if one["metadata"]["name"] == state]
    assert len(held) == 3
    assert all(data == held[0] for data in held)
    await bench.sync()
    assert (await bench.secret())["data"] == held[0]


async def test_stopped_after_any_write_nothing_is_used_twice_and_the_target_is_the_state():
    for stop in range(1, 6):
        bench = a_bench()
        writes = []

        def count(request, writes=writes, stop=stop):
            if request.method in {"POST", "PUT", "PATCH"}:
                writes.append(request.path)
                if len(writes) == stop:
                    raise error_of(failure_status(500, "InternalError", "no"))

        bench.kube.before = count
        # Whichever write was stopped, the next sync goes on.
        with contextlib.suppress(KeylessError):
            await bench.sync(generated())
        bench.kube.before = lambda _: None
        await bench.sync()
        state = await bench.secret(state_name("db", GeneratorRef("Password", "p")))
        assert (await bench.secret())["data"] == state["data"]
        assert state["metadata"]["ownerReferences"][0]["uid"] == (await bench.object())["metadata"]["uid"]


async def test_a_secret_of_somebody_else_in_its_place_is_neither_read_nor_overwritten():
    bench = a_bench()
    name = state_name("db", GeneratorRef("Password", "p"))
    theirs = {"metadata": {"name": name, "namespace": "app"}, "data": {"password": "eA=="}}
    bench.kube.put(SECRETS, theirs)
    _, _, message = await bench.fails(generated())
    assert "is in the way" in message
    assert (await bench.secret(name))["data"] == {"password": "eA=="}


async def test_generators_stand_beside_stores_and_are_rewritten_and_templated():
    bench = a_bench(secretKeys=["a", "b"])
    spec = generated("UUID", "u", data=[a_value("k", "s")])
    spec["spec"]["dataFrom"].append({**generated()["spec"]["dataFrom"][0]})
    spec["spec"]["dataFrom"][1]["rewrite"] = [{"regexp": {"source": "^", "target": "pw_"}}]
    await bench.sync(spec)
    made = await bench.data()
    assert set(made) == {"uuid", "pw_a", "pw_b", "k"}
    assert made["pw_a"] != made["pw_b"]


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [("Password", "absent", "does not exist"), ("Webhook", "w", "expected Password, UUID, ECRAuthorizationToken")],
)
async def test_what_cannot_be_generated_is_told(kind, name, said):
    bench = a_bench()
    with contextlib.suppress(KeylessError):
        await bench.sync(generated(kind, name))
    assert said in (await bench.ready())[2]


def ecr(**spec):
    return {"metadata": {"name": "e", "namespace": "app"}, "spec": {"region": "eu-west-1", **spec}}


async def test_a_registry_token_has_its_parts_and_a_denial_its_code():
    bench = a_bench()
    bench.kube.put(ECRAUTHORIZATIONTOKENS, ecr())
    expires = datetime(2026, 1, 2, tzinfo=UTC)
    one = {"authorizationToken": base64.b64encode(b"AWS:t0ken").decode(), "expiresAt": expires}
    one["proxyEndpoint"] = "https://111122223333.dkr.ecr.eu-west-1.amazonaws.com"
    bench.aws.GetAuthorizationToken = lambda: {"authorizationData": [one]}
    await bench.sync(generated("ECRAuthorizationToken", "e"))
    assert await bench.data() == {
        "username": "AWS",
        "password": "t0ken",
        "expires_at": "1767312000",
        "proxy_endpoint": one["proxyEndpoint"],
    }
    bench.aws.refuse["GetAuthorizationToken"] = "AccessDeniedException"
    await bench.change({"metadata": {"annotations": {"a": "b"}}})
    _, _, message = await bench.fails()
    assert "GetAuthorizationToken: AccessDeniedException" in message
    assert not re.search("t0ken", message)


async def test_a_tenant_s_generator_has_no_credentials_of_the_space():
    bench = a_bench()
    bench.tools.stores._policy = type(bench.tools.stores._policy)(False)
    bench.kube.put(ECRAUTHORIZATIONTOKENS, ecr())
    _, _, message = await bench.fails(generated("ECRAuthorizationToken", "e"))
    assert "auth is missing" in message
    assert bench.aws.calls == []
