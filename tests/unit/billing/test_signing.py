"""A signed report: whatever is changed, in it, in its signature or in the bucket behind it, is seen."""

from __future__ import annotations

import gzip
import json
import os
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent
from keyless.aws import AwsPermanent, failure
from keyless.billing.export.keys import KeyFile, KmsKey, PublicKey
from keyless.billing.export.plan import Request, period_of
from keyless.billing.export.service import export
from keyless.billing.export.signatures import check_signature, signature_file, write_signed
from keyless.billing.export.verifying import Check, verify
from unit.billing.bucket import MemoryBucket
from unit.billing.chained import END, chained
from unit.local.cloud.support import World, a_role, allow

REQUEST = Request("acme", period_of("", "2026-10-31/2026-11-01"), True)
NOW = END + timedelta(days=3)
PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key):
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "key.pem").write_bytes(pem(PRIVATE))
    (tmp_path / "key.pub").write_bytes(public_pem(PRIVATE.public_key()))
    return SimpleNamespace(
        report=tmp_path / "r.tgz", key=KeyFile(tmp_path / "key.pem"), public=PublicKey(tmp_path / "key.pub")
    )


def write(files, key=None, bucket=None):
    made = export(bucket or chained(), REQUEST, now=NOW)
    write_signed(files.report, made, REQUEST, key or files.key)


def checked(files, key=None):
    return check_signature(files.report, signature_file(files.report), key or files.public, "acme")


def test_a_signed_report_is_the_same_report_and_its_signature_holds(files):
    write(files)
    assert files.report.read_bytes() == b"".join(export(chained(), REQUEST, now=NOW).archive)
    wrong, known = checked(files)
    assert wrong == ""
    assert known.heads == verify(chained(), Check("acme"), now=NOW).heads
    # Ed25519 needs no chance: the same report has the same signature.
    before = signature_file(files.report).read_bytes()
    files.report.unlink()
    write(files)
    assert signature_file(files.report).read_bytes() == before


def test_a_bucket_that_was_rewritten_as_a_whole_lacks_the_heads_that_were_signed(files):
    write(files)
    _, known = checked(files)
    empty = MemoryBucket({key: body for key, body in chained().objects.items() if "hour=01" not in key})
    assert "HeadMissing" in {fault.reason for fault in verify(empty, Check("acme", known=(known,)), now=NOW).faults}


def test_another_packing_of_the_same_report_still_holds_and_another_report_does_not(files):
    write(files)
    files.report.write_bytes(gzip.compress(gzip.decompress(files.report.read_bytes()), 1))
    assert checked(files)[0] == ""
    changed = gzip.decompress(files.report.read_bytes()).replace(b'"mxp_id":"7', b'"mxp_id":"8')
    files.report.write_bytes(gzip.compress(changed))
    assert "expected the report with SHA-256" in checked(files)[0]


def test_another_key_another_account_and_another_algorithm_are_not_this_ones(files, tmp_path):
    write(files)
    other = tmp_path / "other.pub"
    other.write_bytes(public_pem(ed25519.Ed25519PrivateKey.generate().public_key()))
    assert "expected a signature of this key" in checked(files, PublicKey(other))[0]
    other.write_bytes(public_pem(ec.generate_private_key(ec.SECP256R1()).public_key()))
    assert "expected a signature of this key" in checked(files, PublicKey(other))[0]
    assert (
        "expected account 'beta'"
        in check_signature(files.report, signature_file(files.report), files.public, "beta")[0]
    )


@effort(40)
@given(st.data())
def test_a_signature_file_that_was_changed_is_refused_or_does_not_hold(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("s")
    files = SimpleNamespace(report=folder / "r.tgz", public=_public(folder))
    files.report.write_bytes(b"".join(export(chained(), REQUEST, now=NOW).archive))
    (folder / "key.pem").write_bytes(pem(PRIVATE))
    files.report.unlink()
    write(files, KeyFile(folder / "key.pem"))
    path = signature_file(files.report)
    body = bytearray(path.read_bytes())
    # The name of the key proves nothing, and neither does white space.
    start = body.index(b'"statement"')
    at = data.draw(st.integers(start, len(body) - 8))
    body[at] = data.draw(st.sampled_from(b'A0"{}x').filter(lambda b: b != body[at]))
    path.write_bytes(bytes(body))
    with suppress(Permanent):
        assert checked(files)[0] != ""


def _public(folder):
    (folder / "key.pub").write_bytes(public_pem(PRIVATE.public_key()))
    return PublicKey(folder / "key.pub")


class KilledHere(BaseException):
    pass


@pytest.mark.parametrize("step", ["output.os.fsync", "output.Path.replace", "output._name", "keys.KeyFile.sign"])
def test_a_kill_at_any_step_leaves_no_report_without_its_signature(files, monkeypatch, step):
    def killed(*_, **__):
        raise KilledHere

    with monkeypatch.context() as patched:
        patched.setattr(f"keyless.billing.export.{step}", killed)
        with pytest.raises(KilledHere):
            write(files)
    assert not files.report.exists()
    write(files)
    assert checked(files)[0] == ""


NO_KEYS = [b"", b"secret words", public_pem(PRIVATE.public_key()), pem(ec.generate_private_key(ec.SECP256R1()))]


@pytest.mark.parametrize("body", NO_KEYS)
def test_what_is_no_key_is_refused_by_its_name_and_never_shown(tmp_path, body):
    path = tmp_path / "k.pem"
    path.write_bytes(body)
    with pytest.raises(Permanent, match=r"k\.pem: expected an Ed25519 private key") as refused:
        KeyFile(path)
    assert "secret" not in str(refused.value)


def kms_session(world, keys):
    def call(service, operation, **params):
        client = world.aws(service, keys)
        name = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        try:
            return getattr(client, name)(**params)
        except client.exceptions.ClientError as error:
            raise failure(operation, error) from error

    return SimpleNamespace(call_blocking=call)


@pytest.mark.parametrize(
    ("spec", "usage", "right"),
    [
        ("ECC_NIST_P256", "SIGN_VERIFY", "kms:Sign"),
        ("ECC_NIST_P384", "SIGN_VERIFY", "kms:Sign"),
        ("RSA_2048", "SIGN_VERIFY", "kms:Sign"),
        ("HMAC_256", "GENERATE_VERIFY_MAC", "kms:GenerateMac"),
    ],
)
def test_a_kms_key_signs_with_two_rights_and_is_verified_by_kms_and_by_its_public_key(
    files, tmp_path, spec, usage, right
):
    world = World()
    try:
        key = world.aws("kms").create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["Arn"]
        signer = KmsKey(kms_session(world, a_role(world, allow(["kms:DescribeKey", right]))), key)
        write(files, signer)
        admin = KmsKey(kms_session(world, None), key)
        assert checked(files, admin)[0] == ""
        told = json.loads(signature_file(files.report).read_text())
        assert told["key"] == key
        if "ECC" in spec or "RSA" in spec:
            der = world.aws("kms").get_public_key(KeyId=key)["PublicKey"]
            (tmp_path / "kms.pub").write_bytes(public_pem(load_der_public_key(der)))
            assert checked(files, PublicKey(tmp_path / "kms.pub"))[0] == ""
        told["signature"] = told["signature"][:-8] + ("AAAAAAA=" if told["signature"].endswith("=") else "AAAAAAAA")
        signature_file(files.report).write_text(json.dumps(told))
        assert "expected a signature of this key" in checked(files, admin)[0]
        with pytest.raises(AwsPermanent):
            checked(files, signer)
    finally:
        world.close()


def test_a_key_that_cannot_sign_is_refused_before_anything_has_its_name(files):
    world = World()
    try:
        key = world.aws("kms").create_key()["KeyMetadata"]["Arn"]
        with pytest.raises(Permanent, match="expected a key that signs"):
            write(files, KmsKey(kms_session(world, None), key))
    finally:
        world.close()
    assert not files.report.exists()
    assert "r.tgz" not in "".join(os.listdir(files.report.parent))
