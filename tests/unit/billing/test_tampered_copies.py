"""A copy of the bucket (``aws s3 sync``) that somebody had a hand on: the first thing that differs, way by way."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import orjson
import pytest

from keyless.billing.export.folder import FolderBucket
from keyless.billing.export.verifying import Check, Known, verify
from keyless.billing.ledger.objects import canonical
from unit.billing.bucket import manifest_entry
from unit.billing.chained import END, HOUR, chained

NOW = END + 3 * HOUR
HOLDS = "nothing"


class Copy:
    """The objects, by what they are: of control plane ctp1, hour by hour."""

    def __init__(self):
        self.objects = dict(chained().objects)
        self.usage = self._of("account=acme/")
        self.meters = self._of("manifest/meter/")
        self.manifests = self._of("manifest/account=acme/")

    def _of(self, below):
        return sorted(key for key in self.objects if key.startswith(below) and "mxp-706c49fa" in key)

    def remove(self, *keys):
        for key in keys:
            del self.objects[key]

    def write(self, key, change):
        self.objects[key] = change(self.objects[key])

    def move(self, key, name):
        self.objects[name] = self.objects.pop(key)

    def rewrite(self, key, change):
        """A manifest with other content, under the name that fits it; its key."""
        document = orjson.loads(self.objects.pop(key))
        change(document)
        body = canonical(document)
        name, _ = manifest_entry(document)
        name = f"{name[: name.rindex('-') + 1]}{hashlib.sha256(body).hexdigest()[:16]}.json"
        self.objects[name] = body
        return name, hashlib.sha256(body).hexdigest()

    def rewrite_from(self, at, change):
        """And all that follow, so that every hash fits."""
        previous = ""
        for number, key in enumerate(self.manifests[at:]):
            fit = {"previousManifestSha256": previous} if previous else {}
            _, previous = self.rewrite(key, lambda d, n=number, f=fit: d.update(f) if n else change(d))


def flipped(body):
    return body[:20] + bytes([body[20] ^ 1]) + body[21:]


def later(key):
    """The same name an hour later."""
    return key.replace("hour=22", "hour=23") if "hour=22" in key else key.replace("hour=00", "hour=01")


def shouted(key):
    stem, _, name = key.rpartition("-")
    digest, _, suffix = name.partition(".")
    return f"{stem}-{digest.upper()}.{suffix}"


def uppercase(field):
    def change(document):
        document[field] = document[field].upper()

    return change


def uppercase_object(document):
    document["objects"][0]["sha256"] = document["objects"][0]["sha256"].upper()


def fewer(document):
    document["samples"] += 1


BESIDE = "account=acme/date=2026-10-31/hour=23/"
# What is done; the reason that is named first, and a part of the key that it is named with.
WAYS = {
    "a bit of usage flipped": (lambda c: c.write(c.usage[1], flipped), "WrongBytes", "hour=23/mxp-706c"),
    "a bit of a meter object flipped": (lambda c: c.write(c.meters[1], flipped), "WrongBytes", "manifest/meter/"),
    "a bit of a manifest flipped": (lambda c: c.write(c.manifests[1], flipped), "Malformed", "hour=23/mxp-706c"),
    "usage cut": (lambda c: c.write(c.usage[1], lambda b: b[:-1]), "WrongLength", "hour=23/mxp-706c"),
    "a manifest cut": (lambda c: c.write(c.manifests[1], lambda b: b[:-1]), "Malformed", "hour=23/mxp-706c"),
    "usage emptied": (lambda c: c.write(c.usage[1], lambda _: b""), "WrongLength", "hour=23/mxp-706c"),
    "bytes after the gzip": (lambda c: c.write(c.usage[1], lambda b: b + b"x"), "WrongLength", "hour=23/mxp-706c"),
    "a second gzip member": (
        lambda c: c.write(c.usage[1], lambda b: b + gzip.compress(b"[]")), "WrongLength", "hour=23/mxp-706c",
    ),
    "packed again, the same inside": (
        lambda c: c.write(c.usage[1], lambda b: gzip.compress(gzip.decompress(b), 1, mtime=1)),
        "Wrong", "hour=23/mxp-706c",
    ),
    "unpacked": (lambda c: c.write(c.usage[1], gzip.decompress), "WrongLength", "hour=23/mxp-706c"),
    "line ends changed": (lambda c: c.write(c.manifests[1], lambda b: b + b"\r\n"), "Malformed", "hour=23/mxp-706c"),
    "a manifest set in lines": (
        lambda c: c.write(c.manifests[1], lambda b: orjson.dumps(orjson.loads(b), option=orjson.OPT_INDENT_2)),
        "Malformed", "hour=23/mxp-706c",
    ),
    "two hours swapped": (
        lambda c: c.objects.update({c.usage[1]: c.objects[c.usage[2]], c.usage[2]: c.objects[c.usage[1]]}),
        "Wrong", "hour=23/mxp-706c",
    ),
    "another hour's manifest in its place": (
        lambda c: c.write(c.manifests[1], lambda _: c.objects[c.manifests[2]]), "Malformed", "hour=23/mxp-706c",
    ),
    "a middle manifest removed": (lambda c: c.remove(c.manifests[1]), "NotInManifest", "hour=23/mxp-706c"),
    "a middle hour removed whole": (
        lambda c: c.remove(c.manifests[1], c.usage[1], c.meters[1]), "ChainBroken", "hour=00/mxp-706c",
    ),
    "the first hour removed whole": (
        lambda c: c.remove(c.manifests[0], c.usage[0], c.meters[0]), "ChainBroken", "hour=23/mxp-706c",
    ),
    "the newest hour removed whole": (
        lambda c: c.remove(c.manifests[-1], c.usage[-1], c.meters[-1]), "HeadMissing", "heads.json",
    ),
    "the newest manifest removed": (lambda c: c.remove(c.manifests[-1]), "NotInManifest", "hour=01/mxp-706c"),
    "usage removed": (lambda c: c.remove(c.usage[1]), "ObjectMissing", "hour=23/mxp-706c"),
    "usage renamed": (lambda c: c.move(c.usage[1], BESIDE + "renamed.json.gz"), "", "hour=23/"),
    "a manifest renamed": (lambda c: c.move(c.manifests[1], c.manifests[1] + ".bak"), "Malformed", "hour=23/mxp-706c"),
    "usage twice": (
        lambda c: c.objects.update({BESIDE + "twice.json.gz": c.objects[c.usage[1]]}), "NotInManifest", "twice",
    ),
    "a manifest twice": (
        lambda c: c.objects.update({later(c.manifests[0]): c.objects[c.manifests[0]]}), "Malformed", "hour=23/mxp-706c",
    ),
    "names an hour later": (
        lambda c: [c.move(key, later(key)) for key in (c.manifests[0], c.usage[0], c.meters[0])],
        "Malformed", "hour=23/",
    ),
    "the hash in a name in capitals": (lambda c: c.move(c.usage[1], shouted(c.usage[1])), "", "hour=23/mxp-706c"),
    "a manifest's name in capitals": (
        lambda c: c.move(c.manifests[1], shouted(c.manifests[1])), "Malformed", "hour=23/mxp-706c",
    ),
    "an object's hash in a manifest in capitals": (
        lambda c: c.rewrite(c.manifests[1], uppercase_object), "Malformed", "hour=23/mxp-706c",
    ),
    "the hash before in capitals": (
        lambda c: c.rewrite(c.manifests[-1], uppercase("previousManifestSha256")), "ChainBroken", "hour=01/mxp-706c",
    ),
    "one manifest written anew": (lambda c: c.rewrite(c.manifests[1], fewer), "ChainBroken", "hour=00/mxp-706c"),
    "a chain written anew, every hash fits": (lambda c: c.rewrite_from(1, fewer), "HeadMissing", "heads.json"),
    "the newest manifest written anew": (lambda c: c.rewrite(c.manifests[-1], fewer), "HeadMissing", "heads.json"),
    "an older copy of all": (
        lambda c: c.remove(*[key for key in c.objects if "hour=01" in key]), "HeadMissing", "heads.json",
    ),
    "a strange object among usage": (
        lambda c: c.objects.update({BESIDE + "0.json.gz": gzip.compress(b"[]")}), "NotInManifest", "hour=23/0.json.gz",
    ),
    "an empty mark among usage": (
        lambda c: c.objects.update({BESIDE + "_SUCCESS": b""}), "EmptyObject", "hour=23/_SUCCESS",
    ),
    "a strange object among manifests": (
        lambda c: c.objects.update({f"manifest/{BESIDE}x.json": b"{}"}), "Malformed", "hour=23/x.json",
    ),
    "a record of a waiver removed": (
        lambda c: c.remove(*[key for key in c.objects if "taken-back" in key]), "ObjectMissing", "waiver/",
    ),
    "strange objects elsewhere": (lambda c: c.objects.update({"logs/x": b"x", "README": b""}), HOLDS, ""),
    "another account's usage": (
        lambda c: c.objects.update({c.usage[0].replace("acme", "other"): b"x"}), HOLDS, "",
    ),
}  # fmt: skip


def written(folder, objects):
    for key, body in objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return FolderBucket(folder)


def verdict(bucket):
    seen = verify(chained(), Check("acme"), now=NOW)
    return verify(bucket, Check("acme", known=(Known("heads.json", seen.heads, seen.records),)), now=NOW)


@pytest.mark.parametrize("way", WAYS)
def test_the_first_thing_that_differs_is_named(tmp_path, way):
    act, reason, named = WAYS[way]
    copy = Copy()
    act(copy)
    made = verdict(written(tmp_path, copy.objects))
    if reason == HOLDS:
        assert made.holds, made.faults
        return
    assert not made.holds
    first = made.faults[0]
    assert first.reason.startswith(reason), made.faults
    assert named in first.key, made.faults
    assert "expected" in first.detail


def test_times_and_modes_of_files_are_nothing(tmp_path):
    bucket = written(tmp_path, chained().objects)
    for path in tmp_path.rglob("*.gz"):
        os.utime(path, (0, 0))
        path.chmod(0o440)
    assert verdict(bucket).holds


LINKS = {
    "a link": lambda path, kept: path.symlink_to(kept),
    "a link to what has no end": lambda path, _: path.symlink_to("/dev/zero"),
    "a pipe": lambda path, _: os.mkfifo(path),
}


@pytest.mark.parametrize("what", LINKS)
@pytest.mark.parametrize("kind", ["usage", "meters", "manifests"])
def test_what_is_no_file_is_not_there_and_is_never_read(tmp_path, kind, what):
    copy, kept = Copy(), tmp_path / "kept"
    bucket = written(tmp_path / "copy", copy.objects)
    path = tmp_path / "copy" / getattr(copy, kind)[1]
    path.rename(kept)
    LINKS[what](path, kept)
    made = verdict(bucket)
    assert made.faults[0].reason == ("NotInManifest" if kind == "manifests" else "ObjectMissing")
    assert "hour=23/mxp-706c" in made.faults[0].key


def test_a_folder_that_is_a_link_is_not_gone_through(tmp_path):
    copy = Copy()
    bucket = written(tmp_path / "copy", copy.objects)
    day = tmp_path / "copy" / "account=acme" / "date=2026-10-31"
    day.rename(tmp_path / "kept")
    day.symlink_to(Path("/"))
    assert {fault.reason for fault in verdict(bucket).faults} == {"ObjectMissing"}
    assert list(bucket.list("account=acme/date=2026-10-31/")) == []
