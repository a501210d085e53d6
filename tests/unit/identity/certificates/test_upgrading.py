"""From a chart that made the certificate itself: the webhook's old pods and new ones are trusted while both serve."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.identity.certificates import plan
from keyless.identity.certificates.plan import LEAF_LEFT, SEEN_AFTER, SERVED_AFTER
from keyless.kube.resources import MUTATINGWEBHOOKCONFIGURATIONS
from keyless.serving import certificates
from keyless.serving.certificates import Wanted, make_authority, sign
from unit.identity.certificates.test_keeper import NAME, NOON, World, signs

ROLLING = timedelta(minutes=20)
"""So long old pods may serve beside new ones: well under the hour that their authority stays."""


class Upgraded(World):
    """The registration as Helm leaves it: it trusts what the older chart made, and its pods serve by that."""

    def __init__(self, folder: Path, years: int = 10) -> None:
        super().__init__(folder)
        self.chart = make_authority("pod-identity-webhook", NOON - timedelta(days=30), timedelta(days=365 * years))
        authority = {"ca.crt": self.chart.certificate, "ca.key": self.chart.key}
        made = sign(authority, Wanted("pod-identity-webhook", addresses=(NAME,)), NOON)
        self.old = x509.load_pem_x509_certificate(made.certificate.encode())
        self.helm()

    def helm(self) -> None:
        """``helm upgrade`` from it, or ``helm rollback`` to it: only the older chart's authority is registered."""
        (found,) = self.kube.stored(MUTATINGWEBHOOKCONFIGURATIONS)
        other, ours = found["webhooks"]
        bundle = base64.b64encode(self.chart.certificate.encode()).decode()
        told = {**ours, "clientConfig": {**ours["clientConfig"], "caBundle": bundle}}
        self.kube.put(MUTATINGWEBHOOKCONFIGURATIONS, {**found, "webhooks": [other, told]})

    def check_old(self) -> None:
        """The API server still trusts the pods of before."""
        assert any(signs(one, self.old) for one in self.trusted)


async def test_times_are_counted_from_when_a_certificate_says_that_it_begins(tmp_path: Path) -> None:
    """Which is before it was made: an authority would sign before any API server could know it."""
    assert plan.SLACK == certificates.SLACK
    world = World(tmp_path)
    await world.settle(1)
    for wait in (plan.AUTHORITY_LIFE - plan.AUTHORITY_LEFT - timedelta(days=1), timedelta(days=2)):
        world.now += wait
        await world.settle(1)
    served = x509.load_pem_x509_certificate((tmp_path / "1" / "tls.crt").read_bytes())
    newest, former = world.trusted
    assert (signs(newest, served), signs(former, served)) == (False, True), "the API server is yet to see the new one"


async def test_both_are_trusted_until_no_old_pod_can_serve_any_more(tmp_path: Path) -> None:
    world = Upgraded(tmp_path)
    for wait in (timedelta(0), timedelta(seconds=30), ROLLING):
        world.now += wait
        for number in (1, 2):
            await world.settle(number)
            world.check(number)
            world.check_old()
    assert len(world.trusted) == 2
    world.now += SERVED_AFTER
    await world.settle(1)
    world.check(1)
    (left,) = world.trusted
    assert not signs(left, world.old)
    world.kube.calls.clear()
    await world.settle(2)
    assert {call.split()[0] for call in world.kube.calls} == {"GET"}, "at rest again"


async def test_rolled_back_and_upgraded_again_it_is_the_same(tmp_path: Path) -> None:
    """Helm takes the right to change the registration away first, and puts it back with the older authority alone."""
    world = Upgraded(tmp_path)
    await world.settle(1)
    world.now += 2 * SERVED_AFTER
    await world.settle(1)
    world.helm()
    world.replicas.clear()
    world.check_old()
    world.now += timedelta(days=3)
    await world.settle(2)
    world.check(2)
    world.check_old()
    world.now += SERVED_AFTER
    await world.settle(2)
    world.check(2)
    assert len(world.trusted) == 1


@pytest.mark.parametrize("rolled_back", [False, True])
@pytest.mark.parametrize("steps", range(12))
async def test_killed_at_any_request_both_stay_trusted(tmp_path: Path, steps: int, rolled_back: bool) -> None:
    world = Upgraded(tmp_path)
    if rolled_back:
        await world.settle(1)
        world.now += 2 * SERVED_AFTER
        await world.settle(1)
        world.helm()
    await world.settle(1, kill_at=steps)
    world.check_old()
    await world.settle(2)
    world.check(2)
    world.check_old()


async def test_an_authority_whose_time_is_over_is_not_taken_along(tmp_path: Path) -> None:
    world = Upgraded(tmp_path, years=1)
    world.now += timedelta(days=400)
    await world.settle(1)
    world.check(1)
    assert len(world.trusted) == 1


async def test_an_authority_of_a_clock_that_is_ahead_is_taken_along(tmp_path: Path) -> None:
    """Helm makes it by the clock of whoever runs helm, to begin at once."""
    world = Upgraded(tmp_path)
    begins = x509.load_pem_x509_certificate(world.chart.certificate.encode()).not_valid_before_utc
    world.now = begins - timedelta(minutes=4)
    await world.settle(1)
    world.check_old()
    assert len(world.trusted) == 2


async def test_a_bundle_with_ours_in_it_loses_what_is_not_ours(tmp_path: Path) -> None:
    """Whoever adds an authority beside ours is none that the webhook serves by."""
    world = Upgraded(tmp_path)
    await world.settle(1)
    world.now += SERVED_AFTER
    await world.settle(1)
    (found,) = world.kube.stored(MUTATINGWEBHOOKCONFIGURATIONS)
    other, ours = found["webhooks"]
    both = base64.b64decode(ours["clientConfig"]["caBundle"]) + world.chart.certificate.encode()
    told = {**ours, "clientConfig": {**ours["clientConfig"], "caBundle": base64.b64encode(both).decode()}}
    world.kube.put(MUTATINGWEBHOOKCONFIGURATIONS, {**found, "webhooks": [other, told]})
    await world.settle(1)
    world.check(1)
    assert len(world.trusted) == 1


waits = st.sampled_from((timedelta(0), timedelta(seconds=30), SEEN_AFTER, ROLLING, SERVED_AFTER, LEAF_LEFT))
events = st.tuples(waits, st.booleans(), st.integers(1, 3), st.one_of(st.none(), st.integers(0, 8)))


@effort(12)
@given(st.lists(events, min_size=1, max_size=8))
def test_however_releases_go_back_and_forth_old_and_new_pods_are_trusted_while_they_roll(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[timedelta, bool, int, int | None]]
) -> None:
    world = Upgraded(tmp_path_factory.mktemp("replicas"))
    rolled = world.now

    async def run() -> None:
        nonlocal rolled
        for wait, helm, number, kill_at in steps:
            world.now += wait
            for running in list(world.replicas) if wait else ():
                await world.settle(running)
            if helm:
                # Before it the new pods are gone, or have lost their right to the registration.
                world.helm()
                world.replicas.clear()
                rolled = world.now
            await world.settle(number, kill_at)
            for running in world.replicas:
                world.check(running)
            if world.now - rolled <= ROLLING:
                world.check_old()

    asyncio.run(run())
