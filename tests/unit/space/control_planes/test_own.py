"""Mode ``kubernetes``: the control plane's API server runs in the host namespace."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from keyless.kube import Forbidden, KubeObject
from keyless.kube.errors import failure_status
from keyless.kube.resources import (
    CONTROLPLANES,
    NAMESPACES,
    PERSISTENTVOLUMECLAIMS,
    PODS,
    SECRETS,
    SERVICES,
    STATEFULSETS,
)
from keyless.space.values import ApiServer, Backup, Values
from unit.space.world import BILLING, CTP1, Interrupted, World

OWN = Values(mode="kubernetes", billing=BILLING)
MINE = {"spec": {"hostNamespace": {"name": "mine"}}}


@pytest.fixture
async def world():
    made = World(OWN)
    yield made
    await made.tenants.aclose()


async def _made(world: World, **content: object) -> str:
    world.create(**content)
    await world.settle()
    return await world.host_namespace()


async def _secret(world: World, name: str) -> dict[str, str]:
    found = await world.host.get(SECRETS, name, await world.host_namespace())
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


async def _ready(world: World) -> KubeObject:
    found = await world.condition("Ready")
    assert found is not None
    return found


def _gone(world: World, res: object, name: str) -> None:
    world._forget(res, next(each for each in world._objects(res) if each["metadata"]["name"] == name))


async def test_a_control_plane_is_made_of_an_api_server_of_its_own(world: World) -> None:
    namespace = await _made(world)
    assert (await _ready(world))["status"] == "True"
    pod = (await world.host.get(STATEFULSETS, "control-plane", namespace))["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["containers"]] == ["etcd", "kube-apiserver", "kube-controller-manager"]
    assert await world.exists(SECRETS, "kubeconfig-vector", namespace)


async def test_the_key_of_the_authority_is_in_no_pod(world: World) -> None:
    namespace = await _made(world)
    pods = [each["spec"]["template"]["spec"] for each in world._objects(STATEFULSETS)]
    mounted = {v["secret"]["secretName"] for pod in pods for v in pod["volumes"] if "secret" in v}
    assert mounted == {"control-plane-certificates"}
    assert "ca.key" not in await _secret(world, "control-plane-certificates")
    assert (await world.host.get(SECRETS, "control-plane-keys", namespace))["immutable"] is True


async def test_certificates_name_every_way_to_the_api_and_are_renewed_at_half_their_life(world: World) -> None:
    namespace = await _made(world)
    first = (await _secret(world, "control-plane-certificates"))["api-server.crt"]
    names = x509.load_pem_x509_certificate(first.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    service = await world.host.get(SERVICES, "control-plane", namespace)
    assert service["spec"]["clusterIP"] in {str(each) for each in names.value.get_values_for_type(x509.IPAddress)}
    assert f"control-plane.{namespace}.svc" in names.value.get_values_for_type(x509.DNSName)
    keys = await _secret(world, "control-plane-keys")

    world.clock += timedelta(days=14)
    await world.settle()
    assert (await _secret(world, "control-plane-certificates"))["api-server.crt"] == first
    world.clock += timedelta(days=2)
    await world.settle()
    assert (await _secret(world, "control-plane-certificates"))["api-server.crt"] != first
    assert await _secret(world, "control-plane-keys") == keys
    assert (await _ready(world))["status"] == "True"


NAMED = ApiServer(hostname="{name}.{group}.example.com")
BALANCED = ApiServer(service_type="LoadBalancer", service_annotations={"cloud": "internal"})


async def _connection(world: World) -> dict[str, str]:
    found = await world.host.get(SECRETS, "mine", "default")
    return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}


@pytest.mark.parametrize(
    ("api", "ingress", "name"),
    [
        (NAMED, [], "ctp1.default.example.com"),
        (BALANCED, [{"hostname": "lb-1.elb.test"}], "lb-1.elb.test"),
        (BALANCED, [{"ip": "203.0.113.7"}], "203.0.113.7"),
        (BALANCED, [{"ip": "2001:db8::7"}], "[2001:db8::7]"),
        (replace(BALANCED, hostname="{id}.example.com"), [{"ip": "203.0.113.7"}], "ID.example.com"),
    ],
)
async def test_a_way_in_from_outside_is_in_the_certificate_and_in_the_connection(
    world: World, api: ApiServer, ingress: list[KubeObject], name: str
) -> None:
    world.values = replace(OWN, api_server=api)
    namespace = await _made(world, spec={"writeConnectionSecretToRef": {"name": "mine"}})
    service = await world.host.get(SERVICES, "control-plane", namespace)
    assert service["spec"]["type"] == api.service_type
    assert api.service_annotations.items() <= (service["metadata"].get("annotations") or {}).items()
    world.host.put(SERVICES, {**service, "status": {"loadBalancer": {"ingress": ingress}}})
    await world.settle()
    name = name.replace("ID", (await world.plane())["status"]["controlPlaneID"])
    made = (await _secret(world, "control-plane-certificates"))["api-server.crt"]
    names = x509.load_pem_x509_certificate(made.encode()).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    told = {*names.value.get_values_for_type(x509.DNSName)}
    told |= {str(each) for each in names.value.get_values_for_type(x509.IPAddress)}
    assert name.strip("[]") in told
    connection = await _connection(world)
    assert connection["server"] == f"https://{name}"
    assert f'"server":"https://{name}"' in connection["kubeconfig"]
    component = await _secret(world, "kubeconfig-vector")
    assert component["server"] == f"https://{service['spec']['clusterIP']}", "components stay inside"
    assert (await _ready(world))["status"] == "True"
    world.values = OWN
    await world.settle()
    assert (await _connection(world))["server"] == f"https://{service['spec']['clusterIP']}"


SIGNED = [
    ("control-plane-certificates", "api-server.crt"),
    ("control-plane-certificates", "controller-manager.crt"),
    ("control-plane-certificates", "etcd.crt"),
    ("control-plane-operator", "tls.crt"),
    ("control-plane-operator", "etcd.crt"),
    ("control-plane-backup", "tls.crt"),
]


async def _signed(world: World) -> dict[tuple[str, str], x509.Certificate]:
    """Every certificate there is, each checked to be of the control plane's authority."""
    authority = x509.load_pem_x509_certificate((await _secret(world, "control-plane-keys"))["ca.crt"].encode())
    found = {}
    for secret, name in SIGNED:
        held = await _secret(world, secret)
        assert held["ca.crt"].encode() == authority.public_bytes(serialization.Encoding.PEM)
        found[secret, name] = x509.load_pem_x509_certificate(held[name].encode())
        found[secret, name].verify_directly_issued_by(authority)
    certificates = {each for each in await _secret(world, "control-plane-certificates") if each.endswith(".crt")}
    assert certificates - {"ca.crt"} == {name for secret, name in SIGNED if secret == "control-plane-certificates"}
    return found


@pytest.mark.parametrize("days", [16, 29, 31, 400])
async def test_every_certificate_is_renewed_by_an_operator_that_was_away_and_nothing_restarts(
    world: World, days: int
) -> None:
    """For half its life the one before still holds: whoever has not read the new one yet is let in."""
    world.values = replace(OWN, backup=Backup(enabled=True, bucket="snapshots", region="us-west-2"))
    namespace = await _made(world)
    before, keys = await _signed(world), await _secret(world, "control-plane-keys")
    template = (await world.host.get(STATEFULSETS, "control-plane", namespace))["spec"]["template"]
    world.clock += timedelta(days=days)
    await world.tenants.aclose()
    world.start()
    await world.settle()
    after = await _signed(world)
    assert all(after[each] != before[each] for each in after)
    assert all(each.not_valid_before_utc <= world.clock < each.not_valid_after_utc for each in after.values())
    held = [each.not_valid_after_utc > world.clock for each in before.values()]
    assert held == [days < 30] * len(SIGNED)
    assert await _secret(world, "control-plane-keys") == keys
    assert (await world.host.get(STATEFULSETS, "control-plane", namespace))["spec"]["template"] == template
    assert (await _ready(world))["status"] == "True"


@pytest.mark.parametrize("mode", ["kubernetes", "auto"])
async def test_keys_that_are_lost_are_told_and_never_made_anew(world: World, mode) -> None:
    await _made(world)
    world.values = replace(OWN, mode=mode)
    _gone(world, SECRETS, "control-plane-keys")
    await world.settle()
    ready = await _ready(world)
    assert (ready["status"], ready["reason"]) == ("False", "ApiKeysLost")
    assert "restore that Secret from a backup" in ready["message"]
    assert not await world.exists(SECRETS, "control-plane-keys", await world.host_namespace())


async def test_a_name_that_somebody_else_uses_in_the_host_namespace_is_not_taken(world: World) -> None:
    world.host.put(NAMESPACES, {"metadata": {"name": "mine"}})
    foreign = {"metadata": {"name": "control-plane", "namespace": "mine"}, "spec": {"clusterIP": "10.0.0.3"}}
    world.host.put(SERVICES, foreign)
    await _made(world, **MINE)
    assert (await _ready(world))["reason"] == "ApiTaken"
    assert "labels" not in (await world.host.get(SERVICES, "control-plane", "mine"))["metadata"]


async def test_a_larger_volume_in_the_values_leaves_what_a_stateful_set_cannot_change(world: World) -> None:
    namespace = await _made(world)
    world.values = replace(OWN, api_server=ApiServer(size="9Gi", image="newer"))
    await world.settle()
    spec = (await world.host.get(STATEFULSETS, "control-plane", namespace))["spec"]
    assert spec["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "4Gi"
    assert spec["template"]["spec"]["containers"][1]["image"] == "newer"


async def test_a_pod_of_an_older_template_that_is_never_ready_is_ended(world: World) -> None:
    namespace = await _made(world)
    owner = next(each for each in world._objects(STATEFULSETS))["metadata"]["labels"]
    labels = {**owner, "controller-revision-hash": "older"}
    pod = {
        "metadata": {"name": "control-plane-0", "namespace": namespace, "labels": labels},
        "spec": {"containers": []},
    }
    world.webhook = False
    world.host.put(PODS, pod)
    await world.settle()
    assert not await world.exists(PODS, "control-plane-0", namespace)


async def test_why_the_api_server_does_not_start_is_said(world: World) -> None:
    world.broken = True
    world.create()
    for _ in range(12):
        await world.loop.reconcile(CTP1)
        world.play()
    ready = await _ready(world)
    assert (ready["status"], ready["reason"]) == ("False", "Creating")
    assert "waiting for StatefulSet control-plane" in ready["message"]
    assert "no ready pod yet" in ready["message"]


REFUSALS = [
    (
        'pods "control-plane-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1',
        "shows it: raise it, or ask for less in controlPlanes.kubernetes.resources",
    ),
    ('pods "control-plane-x" is forbidden: violates PodSecurity', "has to admit this one"),
]


@pytest.mark.parametrize(("words", "step"), REFUSALS)
async def test_a_pod_that_the_host_refuses_is_told_with_the_next_step(world: World, words: str, step: str) -> None:
    def refuse(plural: str, obj: KubeObject) -> KubeObject:
        if plural == "pods":
            raise Forbidden(failure_status(403, "Forbidden", words))
        return obj

    world.broken, world.meddle = True, refuse
    world.create()
    for _ in range(12):
        await world.loop.reconcile(CTP1)
        world.play()
    ready = await _ready(world)
    assert (ready["status"], ready["reason"]) == ("False", "Creating")
    assert f"its pod is refused: {words}" in ready["message"]
    assert step in ready["message"]
    world.broken, world.meddle = False, lambda plural, obj: obj
    await world.settle()
    assert (await _ready(world))["status"] == "True"


async def test_an_image_that_is_missing_is_told_by_its_name(world: World) -> None:
    namespace = await _made(world)
    world.broken = True
    owner = next(each for each in world._objects(STATEFULSETS))
    labels = {**owner["metadata"]["labels"], "controller-revision-hash": owner["status"]["updateRevision"]}
    waiting = {"name": "etcd", "image": "registry.test/etcd:9", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    pod = {"metadata": {"name": "control-plane-0", "namespace": namespace, "labels": labels}}
    world.webhook, world._end_pods = False, lambda: False
    world.host.put(PODS, {**pod, "spec": {"containers": []}, "status": {"containerStatuses": [waiting]}})
    for _ in range(12):
        await world.loop.reconcile(CTP1)
        world.play()
    assert "pod control-plane-0 is ImagePullBackOff: registry.test/etcd:9" in (await _ready(world))["message"]


async def test_in_a_namespace_that_stays_nothing_of_it_is_left(world: World) -> None:
    world.host.put(NAMESPACES, {"metadata": {"name": "mine"}})
    await _made(world, **MINE)
    assert world._objects(PERSISTENTVOLUMECLAIMS)
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    await world.settle()
    left = [each for res in (STATEFULSETS, SERVICES, SECRETS, PERSISTENTVOLUMECLAIMS) for each in world._objects(res)]
    assert left == []
    assert await world.exists(NAMESPACES, "mine")


async def test_values_that_cannot_be_read_leave_the_api_server_alone(world: World) -> None:
    namespace = await _made(world)
    before = world.snapshot()
    world.values = Values(mode="auto", billing=BILLING)
    await world.settle()
    assert world.snapshot() == before
    assert await world.exists(STATEFULSETS, "control-plane", namespace)


async def test_an_operator_killed_at_any_write_makes_one_api_server_with_one_set_of_keys() -> None:
    for number in range(18):
        world = World(OWN)
        world.create()
        world.fail_at(number)
        with pytest.raises(Interrupted):
            await world.settle()
        await world.tenants.aclose()
        keys = [each for each in world._objects(SECRETS) if each["metadata"]["name"] == "control-plane-keys"]
        world.fail_at(None)
        world.start()
        await world.settle()
        assert (await _ready(world))["status"] == "True", f"killed at write {number}"
        kept = [each for each in world._objects(SECRETS) if each["metadata"]["name"] == "control-plane-keys"]
        assert len(kept) == 1
        assert not keys or keys[0]["data"] == kept[0]["data"]
        await world.tenants.aclose()
