"""An operator that ends, or acts on what it saw long ago, at any step of an API server's life changes no end."""

from __future__ import annotations

import base64
import contextlib
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keyless.api import KeylessError
from keyless.kube.resources import CONTROLPLANES, SECRETS
from keyless.space.control_planes.applying import Hands
from keyless.space.control_planes.gathering import Gatherer
from keyless.space.control_planes.plan import plan
from keyless.space.control_planes.tenants import Tenants
from keyless.space.values import Backup, Values
from unit.space.world import BILLING, CTP1, Interrupted, World

OWN = Values(mode="kubernetes", billing=BILLING, backup=Backup(enabled=True, bucket="snapshots"))
SIGNED = {
    "control-plane-certificates": ("api-server.crt", "etcd.crt", "controller-manager.crt"),
    "control-plane-operator": ("tls.crt", "etcd.crt"),
    "control-plane-backup": ("tls.crt",),
}


async def _made(world: World) -> str:
    world.create()
    await world.settle()
    return await world.host_namespace()


async def _read(world: World, namespace: str, name: str) -> dict[str, str]:
    found = await world.host.get(SECRETS, name, namespace)
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


async def _holds_together(world: World, namespace: str) -> None:
    """Ready, and every certificate is good now and of the one authority."""
    ready = await world.condition("Ready")
    assert ready is not None
    assert ready["status"] == "True", ready
    authority = x509.load_pem_x509_certificate((await _read(world, namespace, "control-plane-keys"))["ca.crt"].encode())
    for secret, names in SIGNED.items():
        data = await _read(world, namespace, secret)
        assert data["ca.crt"].encode().strip() == authority.public_bytes(Encoding.PEM).strip(), secret
        for name in names:
            found = x509.load_pem_x509_certificate(data[name].encode())
            found.verify_directly_issued_by(authority)
            assert found.not_valid_before_utc <= world.clock < found.not_valid_after_utc, (secret, name)


async def test_an_operator_killed_at_any_write_of_a_rotation_leaves_certificates_of_one_authority() -> None:
    world = World(OWN)
    namespace = await _made(world)
    number, whole = 0, False
    while not whole:
        world.clock += timedelta(days=16)
        world.fail_at(number)
        try:
            await world.settle()
            whole = True
        except Interrupted:
            await world.tenants.aclose()
            world.fail_at(None)
            world.start()
            await world.settle()
        await _holds_together(world, namespace)
        number += 1
    assert number > len(SIGNED)
    await world.tenants.aclose()


async def test_an_operator_that_was_away_for_years_makes_all_anew_but_what_cannot_be_made_again() -> None:
    world = World(OWN)
    namespace = await _made(world)
    keys = await _read(world, namespace, "control-plane-keys")
    await world.tenants.aclose()
    world.clock += timedelta(days=3 * 365)
    world.start()
    await world.settle()
    await _holds_together(world, namespace)
    assert await _read(world, namespace, "control-plane-keys") == keys
    await world.tenants.aclose()


async def test_an_operator_killed_at_any_write_of_a_deletion_leaves_nothing_of_an_api_server() -> None:
    number, whole = 0, False
    while not whole:
        world = World(OWN)
        await _made(world)
        await world.host.delete(CONTROLPLANES, CTP1.name, CTP1.namespace)
        world.fail_at(number)
        try:
            await world.settle()
            whole = True
        except Interrupted:
            await world.tenants.aclose()
            world.fail_at(None)
            world.start()
            await world.settle()
        assert not [each for each in world.snapshot() if each.startswith("host ") and "mxp-" in each], number
        await world.tenants.aclose()
        number += 9  # some of each kind: a file's tests stay quick
    assert number > 12


async def test_an_operator_that_acts_on_what_it_saw_long_ago_makes_no_second_set_of_keys() -> None:
    for rounds in (0, 3, 6):
        world = World(OWN)
        world.create()
        for _ in range(rounds):
            await world.loop.reconcile(CTP1)
            world.play()
        # A pod that was stopped in the middle: it gathered, and writes when all is made by another.
        tenants = Tenants(world._door, lambda _: None)
        facts = await Gatherer(world.host, tenants, lambda: OWN).gather(CTP1, world.clock, {})
        assert facts is not None
        await world.settle()
        namespace = await world.host_namespace()
        keys = await _read(world, namespace, "control-plane-keys")
        for step in plan(facts).steps:
            with contextlib.suppress(KeylessError):
                await Hands(world.host, None, None, {}).apply(step, facts)
        await world.settle()
        assert await world.host_namespace() == namespace
        assert await _read(world, namespace, "control-plane-keys") == keys
        await _holds_together(world, namespace)
        await tenants.aclose()
        await world.tenants.aclose()
