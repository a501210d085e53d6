"""Whatever happens to the replicas, what is served is trusted by the API server: kills, two at once, a year away."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent
from keyless.identity.certificates.keeper import MARK, Keeper, Place
from keyless.identity.certificates.plan import AUTHORITY_LEFT, AUTHORITY_LIFE, SEEN_AFTER, SERVED_AFTER
from keyless.identity.certificates.reading import bundle_of, read_held, texts_of
from keyless.kube import KubeObject
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import MUTATINGWEBHOOKCONFIGURATIONS, NAMESPACES, SECRETS

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
PLACE = Place("spaces", "webhook-certificate", "pod-identity-webhook", "pod-identity-webhook")
NAME = "pod-identity-webhook.spaces.svc"


class Killed(BaseException):
    """The replica was killed at this request."""


class World:
    """A cluster with the registration, as Helm leaves it, and replicas by number."""

    def __init__(self, folder: Path) -> None:
        self.now, self.folder = NOON, folder
        self.kube = MemoryKube(now=lambda: self.now)
        self.kube.put(NAMESPACES, {"metadata": {"name": "spaces"}})
        service = {"namespace": "spaces", "name": "pod-identity-webhook", "path": "/mutate"}
        other = {"name": "other", "clientConfig": {"url": "https://x", "caBundle": "QUJD"}}
        ours = {"name": "iam-for-pods.amazonaws.com", "clientConfig": {"service": service}}
        metadata = {"name": "pod-identity-webhook"}
        self.kube.put(MUTATINGWEBHOOKCONFIGURATIONS, {"metadata": metadata, "webhooks": [other, ours]})
        self.replicas: dict[int, Keeper] = {}

    def replica(self, number: int) -> Keeper:
        """The one of this number, started where it does not run."""
        if number not in self.replicas:
            folder = self.folder / str(number)
            self.replicas[number] = Keeper(self.kube, PLACE, folder, now=lambda: self.now)
        return self.replicas[number]

    async def settle(self, number: int, kill_at: int | None = None) -> None:
        """A look of a replica; with ``kill_at`` it is killed at that request, and starts anew the next time."""
        left = kill_at

        def count(_request: object) -> None:
            nonlocal left
            if left is not None:
                left -= 1
                if left < 0:
                    raise Killed

        self.kube.before = count
        try:
            await self.replica(number).settle()
        except Killed:
            del self.replicas[number]
        finally:
            self.kube.before = lambda _request: None

    @property
    def trusted(self) -> list[x509.Certificate]:
        """By whom the API server knows the webhook."""
        (found,) = self.kube.stored(MUTATINGWEBHOOKCONFIGURATIONS)
        other, ours = found["webhooks"]
        assert other["clientConfig"] == {"url": "https://x", "caBundle": "QUJD"}
        text = bundle_of([ours])
        return x509.load_pem_x509_certificates(text.encode()) if text else []

    @property
    def secret(self) -> KubeObject:
        """The shared one."""
        (found,) = self.kube.stored(SECRETS, "spaces")
        return found

    def check(self, number: int) -> None:
        """What the replica serves is within its time, of the right name, and trusted."""
        served = x509.load_pem_x509_certificate((self.folder / str(number) / "tls.crt").read_bytes())
        assert served.not_valid_before_utc <= self.now < served.not_valid_after_utc
        names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [NAME]
        assert any(signs(one, served) for one in self.trusted)
        assert all(one.not_valid_before_utc <= self.now for one in self.trusted)


def signs(authority: x509.Certificate, served: x509.Certificate) -> bool:
    try:
        served.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_the_first_replica_makes_it_and_all_others_serve_the_same(world: World) -> None:
    for number in (1, 2):
        await world.settle(number)
        world.check(number)
    texts = {(world.folder / str(number) / "tls.crt").read_text() for number in (1, 2)}
    assert len(texts) == 1
    assert (world.folder / "1" / "tls.key").stat().st_mode & 0o777 == 0o600
    assert len(world.trusted) == 1


async def test_two_replicas_that_start_at_once_end_with_one_certificate(world: World) -> None:
    await asyncio.gather(*(world.replica(number).settle() for number in range(4)))
    for number in range(4):
        await world.settle(number)
        world.check(number)
    assert len(world.trusted) == 1


async def test_at_rest_nothing_is_written(world: World) -> None:
    await world.settle(1)
    world.kube.calls.clear()
    await world.settle(1)
    await world.settle(2)
    assert {call.split()[0] for call in world.kube.calls} == {"GET"}


@pytest.mark.parametrize("years", [1, 4, 7])
async def test_after_years_away_it_is_trusted_again_at_the_first_look(world: World, years: int) -> None:
    await world.settle(1)
    world.now += timedelta(days=365 * years)
    await world.settle(1)
    world.check(1)


async def test_an_authority_is_renewed_in_steps_that_each_leave_a_trusted_certificate(world: World) -> None:
    await world.settle(1)
    (first,) = world.trusted
    world.now += AUTHORITY_LIFE - AUTHORITY_LEFT
    seen = []
    for wait in (timedelta(0), SEEN_AFTER, SERVED_AFTER, timedelta(0)):
        world.now += wait
        await world.settle(1)
        world.check(1)
        seen.append(len(world.trusted))
    assert seen == [2, 2, 1, 1]
    assert world.trusted[0] != first


@pytest.mark.parametrize("steps", range(14))
async def test_killed_at_any_request_the_next_one_goes_on(world: World, steps: int) -> None:
    await world.settle(1, kill_at=steps)
    await world.settle(2)
    world.check(2)
    world.now += AUTHORITY_LIFE - AUTHORITY_LEFT
    await world.settle(2, kill_at=steps)
    for wait in (timedelta(0), SEEN_AFTER, SERVED_AFTER):
        world.now += wait
        await world.settle(2)
        world.check(2)
    assert len(world.trusted) == 1


waits = st.sampled_from(
    (
        timedelta(0),
        timedelta(seconds=30),
        SEEN_AFTER,
        SERVED_AFTER,
        timedelta(days=14),
        AUTHORITY_LEFT,
    )
)
looks = st.tuples(waits, st.integers(1, 3), st.one_of(st.none(), st.integers(0, 8)))


@effort(12)
@given(st.lists(looks, min_size=1, max_size=8))
def test_however_replicas_look_and_die_all_that_looked_since_serve_what_is_trusted(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[timedelta, int, int | None]]
) -> None:
    world = World(tmp_path_factory.mktemp("replicas"))

    async def run() -> None:
        for wait, number, kill_at in steps:
            world.now += wait
            # Replicas that run look twice a minute, so each has looked before any longer time has gone.
            for running in list(world.replicas) if wait else ():
                await world.settle(running)
            await world.settle(number, kill_at)
            for running in world.replicas:
                world.check(running)

    asyncio.run(run())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: {},
        lambda data: data | {"tls.crt": "e30="},
        lambda data: data | {"tls.key": data["ca.key"]},
        lambda data: data | {"ca.crt": data["tls.crt"]},
        lambda data: {name: text for name, text in data.items() if name != "ca.key"},
        lambda data: data | {"ca.key": "/w=="},
    ],
)
async def test_a_secret_that_somebody_spoilt_is_made_again(
    world: World, spoil: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    await world.settle(1)
    secret = world.secret
    world.kube.put(SECRETS, {**secret, "data": spoil(secret["data"])})
    await world.settle(1)
    world.check(1)


async def test_a_ca_bundle_that_somebody_changed_is_put_right(world: World) -> None:
    await world.settle(1)
    (found,) = world.kube.stored(MUTATINGWEBHOOKCONFIGURATIONS)
    hooks = [{**one, "clientConfig": {**one["clientConfig"], "caBundle": "QUJD"}} for one in found["webhooks"]]
    world.kube.put(MUTATINGWEBHOOKCONFIGURATIONS, {**found, "webhooks": hooks})
    await world.settle(1)
    world.check(1)


async def test_a_secret_of_somebody_else_is_left_and_told(world: World) -> None:
    data = {"tls.crt": "QUJD"}
    theirs = {"metadata": {"name": PLACE.secret, "namespace": "spaces"}, "data": data}
    world.kube.put(SECRETS, theirs)
    with pytest.raises(Permanent, match="expected one that the webhook made"):
        await world.settle(1)
    assert world.secret["data"] == data


async def test_it_goes_with_the_registration_that_an_uninstall_removes(world: World) -> None:
    await world.settle(0)
    (configuration,) = world.kube.stored(MUTATINGWEBHOOKCONFIGURATIONS)
    (secret,) = world.kube.stored(SECRETS)
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("MutatingWebhookConfiguration", configuration["metadata"]["uid"])


async def test_a_registration_without_our_service_is_told(world: World) -> None:
    world.kube.put(MUTATINGWEBHOOKCONFIGURATIONS, {"metadata": {"name": "pod-identity-webhook"}, "webhooks": []})
    with pytest.raises(Permanent, match="whom to trust"):
        await world.settle(1)


async def test_the_mark_and_all_parts_are_in_the_secret(world: World) -> None:
    await world.settle(1)
    assert world.secret["metadata"]["labels"] == {MARK: "true"}
    assert set(texts_of(world.secret)) == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    held = read_held(world.secret)
    assert held is not None
    assert held.leaf.signer == held.authorities[0].pem


@effort(60)
@given(st.dictionaries(st.sampled_from(("ca.crt", "ca.key", "tls.crt", "tls.key")), st.binary(max_size=60)))
def test_whatever_a_secret_holds_reading_it_ends(data: dict[str, bytes]) -> None:
    secret: Any = {"data": {name: base64.b64encode(value).decode() for name, value in data.items()}}
    assert read_held(secret) is None
