"""``keyless billing verify``: what it prints, from a bucket and from a copy, and with which code it ends."""

import gzip
import hashlib
import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyless.billing.collector.host import billing_status
from keyless.billing.export.folder import FolderBucket
from keyless.billing.export.plan import Request
from keyless.billing.export.service import export
from keyless.billing.ledger.model import ChainHead, HeadSignature
from keyless.billing.ledger.signed import message_of
from keyless.billing.ledger.signed_heads import head_statement
from keyless.cli import exits
from keyless.cli.app import main
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONTROLPLANES
from unit.billing.bucket import MemoryBucket, s3_over_http
from unit.billing.chained import END, START, Collector, chained
from unit.billing.collector.test_host import control_plane
from unit.billing.samples import CTP1


@pytest.fixture
def copy(tmp_path):
    """A copy of an honest bucket in a folder."""
    for key, body in chained().objects.items():
        path = tmp_path / "copy" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return tmp_path / "copy"


def verify(*words, folder=None):
    return main(["billing", "verify", "--account=acme", *([f"--folder={folder}"] if folder else []), *words])


def printed(capsys):
    return json.loads(capsys.readouterr().out)


def test_an_honest_copy_holds_and_its_heads_are_told(copy, capsys):
    assert verify(folder=copy) == exits.HELD
    told = capsys.readouterr().out
    assert "read 8 manifests and 16 objects of usage" in told
    assert "from 2026-10-31T22:00:00Z to 2026-11-01T01:00:00Z" in told
    assert "ok all of it is there" in told
    assert told.count(": number 3, stored to 2026-11-01T02:00:00Z, SHA-256 ") == 2
    assert "waived:" in told


def test_the_first_thing_that_differs_is_named_first(copy, capsys):
    usage = sorted((copy / "account=acme").rglob("*.gz"))
    usage[2].write_bytes(b"edited")
    usage[5].unlink()
    assert verify(folder=copy) == exits.DID_NOT_HOLD
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("FAILED the first thing that differs:")
    assert lines[at + 1].startswith(f"  {usage[2].relative_to(copy)}: WrongLength: expected ")
    assert lines[at + 2] == "1 more:"
    assert lines[at + 3].startswith(f"  {usage[5].relative_to(copy)}: ObjectMissing: ")


def test_what_is_printed_as_json_is_what_a_later_run_is_held_against(copy, capsys, tmp_path):
    assert verify("-ojson", folder=copy) == exits.HELD
    kept = tmp_path / "heads.json"
    kept.write_text(json.dumps(printed(capsys)))
    for path in [*copy.rglob("*hour=00*"), *copy.rglob("*hour=01*")]:
        for file in list(path.glob("*")):
            file.unlink()
    assert verify("-ojson", folder=copy) == exits.HELD
    capsys.readouterr()
    assert verify("-ojson", f"--heads={kept}", folder=copy) == exits.DID_NOT_HOLD
    faults = printed(capsys)["faults"]
    assert [(fault["object"], fault["reason"]) for fault in faults] == [(str(kept), "HeadMissing")] * 2


@pytest.mark.usefixtures("caller")
def test_a_bucket_is_verified_over_http(capsys):
    asked = "--bucket=usage", "--billing-month=2026-10", "-ojson", "--no-cluster"
    with s3_over_http(chained()) as (url, requests):
        assert verify(f"--endpoint={url}", *asked) == exits.HELD
    assert printed(capsys)["objects"] == 8
    assert len(set(requests)) == len(requests)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], exits.WRONG_USE, "expected one of --bucket and --folder"),
        (["--bucket=a", "--folder=b"], exits.WRONG_USE, "expected one of --bucket and --folder"),
        (["--folder=none"], exits.WRONG_USE, "expected a folder with a copy of the bucket"),
        (["--folder=.", "--billing-month=2026"], exits.WRONG_USE, "expected a month"),
        (["--folder=.", "--heads=none.json"], exits.WRONG_USE, "none.json"),
        (["--folder=."], exits.DID_NOT_HOLD, "expected usage of account acme, found none"),
    ],
    ids=str,
)
def test_wrong_use_is_told(words, code, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["billing", "verify", "--account=acme", *words]) == code
    shown = capsys.readouterr()
    assert said in " ".join((shown.out + shown.err).split()).replace("│ ", "")


def exported(tmp_path, copy, *, now):
    """A report of the copy's first day."""
    period = (END.replace(month=10, day=31, hour=0), END.replace(day=1, hour=0))
    made = export(FolderBucket(copy), Request("acme", period, force_incomplete=True), now=now)
    path = tmp_path / f"{now:%d}.tgz"
    path.write_bytes(b"".join(made.archive))
    return path


def test_a_report_is_the_same_whenever_it_is_made_and_one_that_was_edited_is_named(copy, tmp_path, capsys):
    first, later = (exported(tmp_path, copy, now=END + timedelta(days=n)) for n in (2, 9))
    assert first.read_bytes() == later.read_bytes()
    assert verify(f"--report={first}", folder=copy) == exits.HELD
    assert f"ok {first} is what it says" in capsys.readouterr().out
    inner = gzip.decompress(first.read_bytes())
    later.write_bytes(gzip.compress(inner.replace(b'"value":5}', b'"value":1}')))
    assert verify(f"--report={later}", folder=copy) == exits.DID_NOT_HOLD
    assert "is not what the bucket says: line " in capsys.readouterr().out
    later.write_bytes(gzip.compress(inner + bytes(2**20)))
    assert verify(f"--report={later}", "-ojson", folder=copy) == exits.DID_NOT_HOLD
    assert printed(capsys)["reportDiffers"].startswith("line ")
    whole = first.read_bytes()
    later.write_bytes(whole[: len(whole) // 2])
    assert verify(f"--report={later}", folder=copy) == exits.DID_NOT_HOLD
    later.write_bytes(whole[: len(whole) * 2 // 3] + b"\xff" * 200)
    assert verify(f"--report={later}", folder=copy) == exits.DID_NOT_HOLD


@pytest.mark.parametrize("body", [b"", b"x", gzip.compress(b""), gzip.compress(b"x" * 9000), b"\x1f\x8bxxxxxxxxx"])
def test_a_file_that_is_no_report_names_itself(copy, tmp_path, capsys, body):
    (tmp_path / "a.tgz").write_bytes(body)
    assert verify(f"--report={tmp_path / 'a.tgz'}", folder=copy) == exits.WRONG_USE
    assert "a.tgz: expected a" in capsys.readouterr().err


@pytest.fixture
def caller(monkeypatch):
    """A person with keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.mark.usefixtures("caller")
def test_what_the_cluster_tells_is_compared_and_a_cluster_that_is_silent_is_told(monkeypatch, capsys):
    bucket, kube = chained(), MemoryKube()
    last = max(key for key in bucket.objects if key.startswith("manifest/account") and "706c49fa" in key)
    head = ChainHead(CTP1.id, "spool-ctp1", 3, hashlib.sha256(bucket.objects[last]).hexdigest(), END)
    kube.put(CONTROLPLANES, control_plane(CTP1, billing=billing_status(head, "acme", "usage")))
    monkeypatch.setattr("keyless.kube.connect", lambda _: nullcontext(kube))
    with s3_over_http(bucket) as (url, _):
        assert verify("--bucket=usage", f"--endpoint={url}") == exits.HELD
        assert "compared with 1 head of the cluster's ControlPlanes" in capsys.readouterr().out
        for key in [key for key in bucket.objects if "hour=01" in key]:
            del bucket.objects[key]
        assert verify("--bucket=usage", f"--endpoint={url}", "--no-cluster") == exits.HELD
        assert verify("--bucket=usage", f"--endpoint={url}") == exits.DID_NOT_HOLD
        assert "the cluster's ControlPlanes: HeadMissing: expected number 3 of default/ctp1" in capsys.readouterr().out
        monkeypatch.undo()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("KUBECONFIG", "/nonexistent/config")
        assert verify("--bucket=usage", f"--endpoint={url}") == exits.HELD
        assert "unknown what the cluster tells: " in capsys.readouterr().out


def test_manifests_that_no_given_key_signed_are_named_and_a_file_that_is_no_key_too(copy, capsys, tmp_path):
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "billing.pub").write_bytes(public)
    assert verify("-ojson", f"--manifest-key={tmp_path / 'billing.pub'}", folder=copy) == exits.DID_NOT_HOLD
    assert {fault["reason"] for fault in printed(capsys)["faults"]} == {"NotSigned"}
    assert verify(f"--manifest-key={copy}", folder=copy) not in {exits.HELD, exits.DID_NOT_HOLD}
    assert str(copy) in capsys.readouterr().err


def test_a_copy_whose_manifests_are_signed_holds_by_the_public_key_alone(capsys, tmp_path):
    private, bucket = ed25519.Ed25519PrivateKey.generate(), MemoryBucket()
    collector = Collector(bucket, replace(CTP1, created_at=START), spool="spool")
    for hour in range(3):
        collector.hour(hour)
        statement = head_statement(collector.link.previous)
        signature = HeadSignature("Ed25519", "mine", private.sign(message_of(statement)))
        collector.link = replace(collector.link, previous_signature=signature)
    for key, body in bucket.objects.items():
        (tmp_path / "copy" / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / key).write_bytes(body)
    for number, key in enumerate((private, ed25519.Ed25519PrivateKey.generate())):
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{number}.pub").write_bytes(public)
    words = [f"--manifest-key={tmp_path / f'{number}.pub'}" for number in range(2)]
    assert verify(*words, folder=tmp_path / "copy") == exits.HELD
    assert "not signed yet manifest/account=acme/" in capsys.readouterr().out
    assert verify(words[1], folder=tmp_path / "copy") == exits.DID_NOT_HOLD
    assert "WrongSignature: expected a signature of the manifest that it follows" in capsys.readouterr().out


def test_text_from_a_bucket_cannot_command_a_terminal(copy, capsys):
    day = copy / "account=acme" / "date=2026-10-31" / "hour=22"
    (day / "x\x1b[2J").write_bytes(b"x")
    assert verify(folder=copy) == exits.DID_NOT_HOLD
    assert "\x1b" not in capsys.readouterr().out
