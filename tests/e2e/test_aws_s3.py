"""``aws s3`` as it is used every day, on the cloud alone: small and large files, folders, pipes, presigned addresses.

The cloud is served on loopback without a cluster; what is tried is the wire, so one administrator does everything.
"""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keyless.local.cloud import serve
from tools import aws_cli
from unit.local.cloud.support import Clock, World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

BUCKET = "everyday"
ABSENT = "the aws command line is missing: run `make tools`"
# Above twice the command line's part size: uploads and copies go in three parts.
LARGE = os.urandom(1 << 20) * 18

Aws = Callable[..., str]


class Now(Clock):
    """The machine's clock: the command line signs with it."""

    def __call__(self) -> float:
        return time.time()


@pytest.fixture(scope="module")
def cloud() -> Iterator[tuple[World, str]]:
    world = World(clock=Now())
    serving = serve(world.cloud.app)
    world.loop.run(serving.__aenter__())
    yield world, serving.url
    world.loop.run(serving.__aexit__(None, None, None))
    world.close()


@pytest.fixture(scope="module")
def aws(cloud: tuple[World, str], tmp_path_factory: pytest.TempPathFactory) -> Aws:
    """Run ``aws`` and return what it printed; its bucket is there."""
    world, url = cloud
    folder = aws_cli()
    if folder is None:
        if os.environ.get("CI"):
            pytest.fail(ABSENT)
        pytest.skip(ABSENT)
    keys = world.cloud.admin_credentials()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path_factory.mktemp("home")),
        "AWS_ACCESS_KEY_ID": keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
        "AWS_REGION": "us-west-2",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_ENDPOINT_URL": url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(*words: str, given: bytes | None = None) -> str:
        done = subprocess.run([folder / "aws", *words], env=environ, input=given, capture_output=True)
        assert done.returncode == 0, f"aws {' '.join(words)}\n{done.stderr.decode()}"
        return done.stdout.decode()

    run("s3", "mb", f"s3://{BUCKET}")
    return run


def test_a_large_file_goes_up_in_parts_across_and_down_again(aws: Aws, tmp_path: Path) -> None:
    source, back = tmp_path / "large", tmp_path / "back"
    source.write_bytes(LARGE)
    aws("s3", "cp", str(source), f"s3://{BUCKET}/large", "--no-progress", "--checksum-algorithm", "SHA256")
    aws("s3", "cp", f"s3://{BUCKET}/large", f"s3://{BUCKET}/copy", "--no-progress")
    aws("s3", "cp", f"s3://{BUCKET}/copy", str(back), "--no-progress")
    assert back.read_bytes() == LARGE
    wanted = ("ETag", "Checksum", "ObjectParts")
    head = aws("s3api", "get-object-attributes", "--bucket", BUCKET, "--key", "large", "--object-attributes", *wanted)
    assert '"ChecksumType": "COMPOSITE"' in head
    assert '"TotalPartsCount": 3' in head


def test_a_folder_is_kept_in_step_both_ways(aws: Aws, tmp_path: Path) -> None:
    names = ("plain.txt", "with space.txt", "über/日本.txt", "a+b&c=d.txt", "deep/er/100%.txt")
    here, there = tmp_path / "here", tmp_path / "there"
    for name in names:
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        # S3 tells whole seconds: what was written in the very second of its upload would look newer than its copy.
        os.utime(path, (time.time() - 60, time.time() - 60))
    aws("s3", "sync", str(here), f"s3://{BUCKET}/tree", "--no-progress")
    assert aws("s3", "sync", str(here), f"s3://{BUCKET}/tree", "--no-progress") == ""
    (here / "plain.txt").unlink()
    assert "delete: s3://" in aws("s3", "sync", str(here), f"s3://{BUCKET}/tree", "--delete", "--no-progress")
    aws("s3", "sync", f"s3://{BUCKET}/tree", str(there), "--no-progress")
    found = {str(path.relative_to(there)): path.read_text() for path in there.rglob("*") if path.is_file()}
    assert found == {name: name for name in names if name != "plain.txt"}


def test_a_pipe_goes_in_and_out_and_a_file_moves(aws: Aws) -> None:
    aws("s3", "cp", "-", f"s3://{BUCKET}/piped", given=b"through a pipe")
    aws("s3", "mv", f"s3://{BUCKET}/piped", f"s3://{BUCKET}/moved/piped", "--no-progress")
    assert aws("s3", "cp", f"s3://{BUCKET}/moved/piped", "-") == "through a pipe"
    listed = aws("s3", "ls", f"s3://{BUCKET}/", "--recursive", "--summarize")
    assert "14 moved/piped" in listed
    assert " piped" not in listed


def test_a_presigned_address_opens_one_object_for_a_while(aws: Aws) -> None:
    aws("s3", "cp", "-", f"s3://{BUCKET}/shared", given=b"for whoever has the address")
    aws("configure", "set", "default.s3.signature_version", "s3v4")
    address = aws("s3", "presign", f"s3://{BUCKET}/shared", "--expires-in", "60").strip()
    with urllib.request.urlopen(address) as answer:
        assert answer.read() == b"for whoever has the address"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address.replace("/shared", "/moved"))


def test_a_bucket_is_emptied_and_goes(aws: Aws) -> None:
    aws("s3", "mb", "s3://short-lived")
    for name in ("one", "two/three"):
        aws("s3", "cp", "-", f"s3://short-lived/{name}", given=b"")
    assert aws("s3", "rm", "s3://short-lived/two", "--recursive").strip() == "delete: s3://short-lived/two/three"
    aws("s3", "rb", "s3://short-lived", "--force")
    assert "short-lived" not in aws("s3", "ls")
