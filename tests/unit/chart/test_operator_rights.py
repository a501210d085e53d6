"""The chart's ClusterRole for the operator: enough for what it does and for what it hands on, and no wildcard."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.generate.rights_page import rules

from keyless.kube.memory.route import Route, route_of
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, PODS, SECRETS
from keyless.local.boot.release import installed
from keyless.space import rights
from keyless.space.place import Place
from keyless.space.surroundings import CaBundle, Surroundings
from keyless.space.values import Backup, Network, Persistence, Values, Workload
from unit.space.world import BILLING, CA, CTP1, NOON, ROLE, World

POLICY = Path(__file__).parents[3] / "spaces-helm-chart/templates/admission.yaml"
PLACE = Place("ctp1", "default", "uid-1", "9f0c", "mxp-9f0c-system")
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def _operator_rules() -> list[dict[str, Any]]:
    (role,) = [each for each in installed(NOON).objects if each["kind"] == "ClusterRole"]
    return list(role["rules"])


def _allows(rules: Iterable[dict[str, Any]], group: str, resource: str, verb: str) -> bool:
    return any(group in r["apiGroups"] and resource in r["resources"] and verb in r["verbs"] for r in rules)


def _asked(call: str) -> tuple[str, str, str]:
    method, _, path = call.partition(" ")
    route: Route = route_of(path)
    resource = f"{route.plural}/{route.subresource}" if route.subresource else route.plural
    return route.group, resource, VERBS.get(method) or ("get" if route.name else "list")


async def test_the_operator_may_do_all_that_it_does() -> None:
    annotated = Workload(annotations={"eks.amazonaws.com/role-arn": ROLE})
    around = Surroundings(pull_secrets=("regcred",), ca_bundle=CaBundle("ConfigMap", "our-ca"))
    values = Values(
        billing=BILLING,
        vector=annotated,
        persistence=Persistence(enabled=None),
        surroundings=around,
        network=Network(enabled=True),
    )
    world = World(values)
    metadata = {"name": "regcred", "namespace": "default"}
    world.host.put(SECRETS, {"metadata": metadata, "type": "kubernetes.io/dockerconfigjson", "data": {}})
    world.host.put(CONFIGMAPS, {"metadata": {**metadata, "name": "our-ca"}, "data": {"ca.crt": CA}})
    world.create(spec={"writeConnectionSecretToRef": {"name": "kubeconfig"}, "hostNamespace": {"name": "team-a"}})
    await world.settle()
    world.values = Values()
    await world.settle()
    await world.host.delete(CONTROLPLANES, "ctp1", "default")
    done = {_asked(call) for call in world.host.calls} - {("spaces.upbound.io", "controlplanes", "delete")}
    await world.settle()
    await world.tenants.aclose()
    missing = [asked for asked in done if not _allows(_operator_rules(), *asked)]
    assert not missing
    assert len(done) > 20


def test_the_operator_holds_every_right_that_it_hands_on() -> None:
    """Kubernetes lets nobody grant what they do not have."""
    own = _operator_rules()
    given = [
        (group, resource, verb)
        for made in (rights.of_vector, rights.of_external_secrets, rights.of_backup, rights.of_restore)
        for item in made(PLACE)
        for rule in item.object.get("rules") or ()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    assert not [each for each in given if not _allows(own, *each)]


def test_every_rule_has_its_reason_and_the_page_shows_all_of_them() -> None:
    written = list(rules())
    assert [rule for rule in written if len(rule.reason) < 20] == []
    granted = [(r["apiGroups"], r["resources"], r["verbs"], r.get("resourceNames") or []) for r in _operator_rules()]
    assert [tuple(map(list, (r.groups, r.resources, r.verbs, r.names))) for r in written] == granted


async def test_of_pods_the_policy_lets_it_run_the_one_that_restores_and_no_other() -> None:
    """RBAC lets it create pods for the sake of dry runs: what is allowed besides is held to this one's names."""
    world = World(Values(mode="kubernetes", backup=Backup(enabled=True, bucket="snapshots")))
    world.create(metadata={"annotations": {"keyless.dev/restore-from": "9f0c"}})
    for _ in range(8):
        await world.loop.reconcile(CTP1)
        world.play()
    await world.tenants.aclose()
    (pod,) = [each for each in world._objects(PODS) if not each["metadata"].get("ownerReferences")]
    name, account = pod["metadata"]["name"], pod["spec"]["serviceAccountName"]
    (rule,) = re.findall(r"request\.resource\.resource != 'pods' \|\|.*?(?=\n +message)", POLICY.read_text(), re.DOTALL)
    assert " ".join(rule.split()) == (
        "request.resource.resource != 'pods' || request.operation != 'CREATE' || request.dryRun || "
        f"has(object.metadata.name) && object.metadata.name == '{name}' && "
        f"has(object.spec.serviceAccountName) && object.spec.serviceAccountName == '{account}'"
    )


def test_no_secret_can_be_found_that_nobody_named() -> None:
    assert not _allows(_operator_rules(), "", "secrets", "list")
    assert not _allows(_operator_rules(), "", "secrets", "watch")


def test_nothing_is_granted_with_a_star() -> None:
    for rule in _operator_rules():
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
