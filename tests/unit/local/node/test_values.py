"""Environment, volumes, mounts, images, addresses: the pure parts of the node."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyless.api import Permanent
from keyless.kube import KubeObject
from keyless.local.node import addresses
from keyless.local.node.environment import ConfigFault, Place, command_line, environment, expand
from keyless.local.node.images import Image, ImageMap, read_image_map_untrusted, repository
from keyless.local.node.model import ContainerRun, Exited, Running, Waiting
from keyless.local.node.mounts import Bind, binds, nested, rewritten, skeleton
from keyless.local.node.record import PodRecord, after_a_crash, load, save
from keyless.local.node.scheduler import is_ours, mismatch
from keyless.local.node.volumes.payload import File, MountFault, Sources, references, token_wishes, volume_files
from keyless.local.node.volumes.tokens import renewal_time
from keyless.local.node.volumes.writer import write

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PLACE = Place("127.1.2.3", "127.0.0.1")
POD: KubeObject = {
    "metadata": {
        "name": "web",
        "namespace": "default",
        "uid": "u",
        "labels": {"app": "web", "tier": 'a"b'},
        "annotations": {"note": "x"},
    },
    "spec": {"nodeName": "local-node", "serviceAccountName": "web", "containers": []},
}
OBJECTS: dict[tuple[str, str], KubeObject] = {
    ("Secret", "keys"): {
        "data": {"id": base64.b64encode(b"AKIA").decode(), "file": base64.b64encode(b"\xff").decode()}
    },
    ("ConfigMap", "conf"): {"data": {"level": "info", "a.b": "dots"}},
}


def lookup(kind: str, name: str) -> KubeObject | None:
    return OBJECTS.get((kind, name))


def variables(**container: Any) -> dict[str, str] | ConfigFault:
    return environment(container, POD, PLACE, lookup)


def test_values_may_refer_to_what_came_before_them() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(NONE)-$$(A)"}]
    assert variables(env=env) == {"A": "1", "B": "1-$(NONE)-$(A)"}


def test_the_downward_api_tells_where_the_pod_is() -> None:
    paths = {
        "NAME": "metadata.name",
        "IP": "status.podIP",
        "HOST": "status.hostIP",
        "UID": "metadata.uid",
        "APP": "metadata.labels['app']",
        "NONE": "metadata.annotations['none']",
        "NODE": "spec.nodeName",
        "SA": "spec.serviceAccountName",
    }
    env = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in paths.items()]
    assert variables(env=env) == {
        "NAME": "web",
        "IP": "127.1.2.3",
        "HOST": "127.0.0.1",
        "UID": "u",
        "APP": "web",
        "NONE": "",
        "NODE": "local-node",
        "SA": "web",
    }


def test_secrets_and_config_maps_are_read_whole_or_by_key() -> None:
    found = variables(
        envFrom=[{"configMapRef": {"name": "conf"}, "prefix": "C_"}],
        env=[{"name": "ID", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "id"}}}],
    )
    assert found == {"C_level": "info", "C_a.b": "dots", "ID": "AKIA"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"secretKeyRef": {"name": "billing-storage", "key": "k"}}, 'secret "billing-storage" not found'),
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "keys", "key": "k"}}, "couldn't find key k in Secret default/keys"),
        ({"fieldRef": {"fieldPath": "spec.bogus"}}, "unsupported fieldPath: spec.bogus"),
    ],
)
def test_what_is_missing_is_told_in_a_kubelets_words(source: dict[str, Any], message: str) -> None:
    assert variables(env=[{"name": "X", "valueFrom": source}]) == ConfigFault(message)


def test_optional_references_may_be_missing() -> None:
    source = {"secretKeyRef": {"name": "none", "key": "k", "optional": True}}
    assert variables(env=[{"name": "X", "valueFrom": source}]) == {}
    assert variables(envFrom=[{"secretRef": {"name": "none", "optional": True}}]) == {}


def test_resources_are_told_in_whole_units() -> None:
    source = {"resource": "limits.memory", "divisor": "1Mi"}
    container = {"resources": {"limits": {"memory": "1.5Gi"}}}
    env = [{"name": "M", "valueFrom": {"resourceFieldRef": source}}]
    assert environment({**container, "env": env}, POD, PLACE, lookup) == {"M": "1536"}


def test_the_command_replaces_the_entry_point_and_arguments_follow() -> None:
    assert command_line({"args": ["$(A)"]}, ["run"], {"A": "x"}) == ["run", "x"]
    assert command_line({"command": ["sh", "-c"], "args": ["y"]}, ["run"], {}) == ["sh", "-c", "y"]


def test_a_lone_dollar_stays() -> None:
    assert expand("$HOME $( $$ $(A)", {"A": "1"}) == "$HOME $( $ 1"


# Volumes


def sources() -> Sources:
    return Sources(POD, PLACE, lookup, lambda wish: f"token for {wish.audience}")


def test_a_projected_volume_joins_its_sources() -> None:
    volume = {
        "projected": {
            "sources": [
                {"serviceAccountToken": {"audience": "sts.amazonaws.com", "path": "token", "expirationSeconds": 86400}},
                {"configMap": {"name": "conf", "items": [{"key": "level", "path": "dir/level"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ]
        }
    }
    assert volume_files(volume, sources()) == {
        "token": File(b"token for sts.amazonaws.com", 0o600),
        "dir/level": File(b"info"),
        "namespace": File(b"default"),
    }


def test_secret_and_config_map_volumes_keep_bytes_and_modes() -> None:
    assert volume_files({"secret": {"secretName": "keys", "defaultMode": 256}}, sources()) == {
        "id": File(b"AKIA", 0o400),
        "file": File(b"\xff", 0o400),
    }


@pytest.mark.parametrize(
    ("volume", "found"),
    [
        ({"secret": {"secretName": "none"}}, MountFault('secret "none" not found')),
        ({"secret": {"secretName": "none", "optional": True}}, {}),
        (
            {"configMap": {"name": "conf", "items": [{"key": "k", "path": "p"}]}},
            MountFault("references non-existent configmap key: k"),
        ),
        ({"emptyDir": {}}, None),
    ],
)
def test_a_volume_without_its_source_is_a_fault_unless_optional(volume: dict[str, Any], found: object) -> None:
    assert volume_files(volume, sources()) == found


def test_everything_that_a_pod_reads_is_known_beforehand() -> None:
    pod = {
        "spec": {
            "volumes": [
                {"name": "a", "secret": {"secretName": "s1"}},
                {"name": "b", "projected": {"sources": [{"configMap": {"name": "c1"}}, {"secret": {"name": "s2"}}]}},
            ],
            "containers": [
                {
                    "envFrom": [{"secretRef": {"name": "s3"}}],
                    "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c2", "key": "k"}}}],
                }
            ],
        }
    }
    assert references(pod) == {
        ("Secret", "s1"),
        ("Secret", "s2"),
        ("Secret", "s3"),
        ("ConfigMap", "c1"),
        ("ConfigMap", "c2"),
    }
    assert list(token_wishes(pod)) == []


def test_a_content_never_shows_in_a_representation() -> None:
    assert "hidden" not in repr(File(b"hidden"))


def test_tokens_are_renewed_at_four_fifths_of_their_life_and_daily_at_the_latest() -> None:
    assert renewal_time(NOW, NOW + timedelta(hours=1)) == NOW + timedelta(minutes=48)
    assert renewal_time(NOW, NOW + timedelta(days=30)) == NOW + timedelta(hours=24)


def test_files_change_all_at_once_and_only_when_they_differ(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    assert write(folder, {"token": File(b"one"), "dir/x": File(b"x", 0o400)})
    before = (folder / "..data").resolve()
    assert not write(folder, {"token": File(b"one"), "dir/x": File(b"x", 0o400)})
    assert (folder / "..data").resolve() == before
    assert write(folder, {"token": File(b"two")})
    assert (folder / "token").read_bytes() == b"two"
    assert sorted(p.name for p in folder.iterdir() if not p.name.startswith("..")) == ["token"]
    assert not before.exists()


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_a_path_that_leaves_the_volume_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Permanent, match="expected a relative path"):
        write(tmp_path, {name: File(b"")})
    assert not (tmp_path.parent / "x").exists()


# Mounts


def test_mounts_become_a_tree_of_folders_that_must_be_made() -> None:
    assert skeleton(["/etc/app", "/run/a/b", "/run/c", "/etc/app/inner"]) == {
        "etc": {"app": {}},
        "run": {"a": {"b": {}}, "c": {}},
    }


def test_a_mount_inside_another_is_made_afterwards() -> None:
    outer, inner = Bind("/data", "/v/1"), Bind("/data/in/ner", "/v/2")
    assert nested([inner, outer]) == [inner]


def test_sub_paths_and_read_only_are_kept() -> None:
    mounts = [
        {"name": "v", "mountPath": "/a/", "subPath": "x/y", "readOnly": True},
        {"name": "none", "mountPath": "/b"},
    ]
    assert binds({"volumeMounts": mounts}, {"v": "/real"}) == (Bind("/a", "/real/x/y", read_only=True),)


def test_mount_paths_are_rewritten_where_they_stand_alone() -> None:
    both = [Bind("/etc/app", "/real/1"), Bind("/etc/app/inner", "/real/2")]
    assert rewritten("/etc/app/token:/etc/app/inner/x", both) == "/real/1/token:/real/2/x"
    assert rewritten("--file=/etc/app", both) == "--file=/real/1"
    assert rewritten("/etc/application /srv/etc/app", both) == "/etc/application /srv/etc/app"


# The rest


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("keyless/keyless:0.1.0", "keyless/keyless"),
        ("docker.io/library/redis:7", "redis"),
        ("registry:5000/a/b@sha256:abc", "registry:5000/a/b"),
        ("docker.io/keyless/keyless", "keyless/keyless"),
    ],
)
def test_an_image_is_known_by_its_repository(name: str, expected: str) -> None:
    assert repository(name) == expected


def test_an_image_map_takes_commands_as_words() -> None:
    images = ImageMap({}).extended(read_image_map_untrusted({"sleep:1": ["sleep", "9"], "sh": "sh -c true"}, "f"))
    assert images.find("sleep") == Image(("sleep", "9"))
    assert images.find("sh:latest") == Image(("sh", "-c", "true"))
    assert images.names == ("sh", "sleep")


@pytest.mark.parametrize("content", [["a"], {"a": []}, {"a": [1]}, {"a": None}])
def test_a_malformed_image_map_is_refused(content: object) -> None:
    with pytest.raises(Permanent, match="image map f"):
        read_image_map_untrusted(content, "f")


def test_every_pod_has_a_loopback_address_of_its_own_and_keeps_it() -> None:
    first = addresses.choose("a", set())
    assert first == addresses.choose("a", set())
    assert first.startswith("127.")
    assert addresses.choose("a", {first}) != first


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    runs = {
        "a": ContainerRun(Running(NOW, 7, 9), last=Exited(1, "Error", NOW, NOW, 9), restarts=2, attempts=3),
        "b": ContainerRun(Waiting("CrashLoopBackOff", "m"), retry_at=NOW),
    }
    record = PodRecord("u", "127.1.2.3", NOW, runs)
    save(tmp_path, record)
    assert load(tmp_path) == record
    assert load(tmp_path / "none") is None


def test_a_newer_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text('{"version": 99}')
    with pytest.raises(Permanent, match="found 99"):
        load(tmp_path)


def test_a_container_that_was_running_when_the_node_died_counts_as_lost() -> None:
    run = after_a_crash(ContainerRun(Running(NOW, 7, 9), restarts=2, attempts=3, container_id="c"), NOW)
    assert run.state == Exited(255, "Unknown", NOW, NOW, container_id="c")
    assert (run.restarts, run.attempts, run.retry_at) == (2, 3, None)


def test_only_unbound_pods_of_the_default_scheduler_are_scheduled() -> None:
    pod: KubeObject = {"metadata": {"name": "a"}, "spec": {}}
    assert is_ours(pod)
    assert not is_ours({**pod, "spec": {"nodeName": "n"}})
    assert not is_ours({**pod, "spec": {"schedulerName": "other"}})
    assert not is_ours({**pod, "spec": {"schedulingGates": [{"name": "wait"}]}})
    assert not is_ours({"metadata": {"name": "a", "deletionTimestamp": "x"}, "spec": {}})


def test_a_node_selector_must_match() -> None:
    pod = {"spec": {"nodeSelector": {"kubernetes.io/os": "windows"}}}
    assert "didn't match" in mismatch(pod, {"kubernetes.io/os": "linux"}, "local-node")
    assert mismatch(pod, {"kubernetes.io/os": "windows"}, "local-node") == ""
