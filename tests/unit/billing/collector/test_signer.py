"""Manifests that are signed: by a file or by KMS, whatever happens in between, and stored where the key is away."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from keyless.api import Permanent
from keyless.billing.collector import signer as signing
from keyless.billing.collector import uploader
from keyless.billing.collector.signer import Signer, signer_of
from keyless.billing.export.keys import KmsKey, PublicKey
from keyless.billing.export.verifying import Check, Known, verify
from keyless.billing.ledger.model import HeadSignature
from keyless.billing.ledger.signed import Signature
from keyless.billing.ledger.signed_heads import head_statement
from unit.billing.bucket import MemoryBucket
from unit.billing.faults.stage import SETTINGS, Stage, failure
from unit.billing.samples import CTP1, NOON
from unit.billing.test_signing import pem, public_pem
from unit.local.cloud.support import World, a_role, allow


class Chancy:
    """A key that never makes the same signature twice, as KMS's ECDSA does; ``wrong`` is what it raises instead."""

    def __init__(self):
        self.made = {}
        self.count = itertools.count()
        self.wrong = None

    async def sign(self, sha256):
        if self.wrong is not None:
            raise self.wrong
        signature = HeadSignature("ECDSA_SHA_256", "key", f"{next(self.count)}".encode())
        self.made[signature.signature] = head_statement(sha256)
        return signature

    def holds(self, statement, signature):
        return self.made.get(signature.signature) == statement


def verdict(stage, **more):
    told = ()
    if stage.space.signed is not None:
        told = (Known("the cluster", (stage.space.kept,), signatures=((stage.space.kept.sha256, stage.space.signed),)),)
    check = Check("acme", known=told, holds=stage.signer.holds, **more)
    return verify(MemoryBucket(dict(stage.bucket.objects)), check, now=stage.time)


async def signed_stage(tmp_path, *, volume=True, flush=30, rate=0.6):
    stage = Stage(tmp_path, start=NOON + timedelta(minutes=59, seconds=10), volume=volume, flush=flush, rate=rate)
    stage.signer = Chancy()
    return stage


STEPS = range(1, 140, 23)


@pytest.mark.parametrize("volume", [True, False], ids=["volume", "no volume"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_leaves_no_manifest_unsigned_nor_two_of_one_number(tmp_path, step, volume):
    stage = await signed_stage(tmp_path, volume=volume)
    stage.steps.kill_at = step
    await stage.play(100)
    await stage.end()
    made = verdict(stage)
    assert [fault for fault in made.faults if fault.reason in {"NotSigned", "WrongSignature", "NumberTwice"}] == []
    assert len(made.not_yet_signed) <= stage.kills


async def test_the_next_manifest_bears_the_signature_and_the_status_that_of_the_newest(tmp_path):
    stage = await signed_stage(tmp_path)
    await stage.play(100)
    await stage.end()
    manifests = sorted(
        (json.loads(body) for key, body in stage.bucket.objects.items() if key.endswith(".json")),
        key=lambda document: document["sequence"],
    )
    assert len(manifests) > 2
    # No more is stored than without signatures: usage and manifest.
    assert len(stage.bucket.requests) == 2 * len(manifests)
    assert ["previousSignature" in each for each in manifests] == [False, *[True] * (len(manifests) - 1)]
    assert stage.signer.holds(head_statement(stage.space.kept.sha256), stage.space.signed)


@pytest.mark.parametrize("wrong", [failure("AccessDeniedException"), failure("Throttling", again=True), "silence"])
async def test_a_key_that_is_away_keeps_no_usage_waiting_and_is_told(tmp_path, monkeypatch, wrong):
    monkeypatch.setattr(uploader, "SIGN_SECONDS", 0.01)
    stage = Stage(tmp_path)
    stage.signer = Chancy()
    if wrong == "silence":
        stage.signer.sign = lambda _: asyncio.sleep(3600)
    stage.signer.wrong = wrong
    await stage.boot()
    stage.recorder.sample()
    assert await stage.uploader.upload_waiting() is None
    said = stage.space.said[-1]
    assert (said.type, said.status, said.reason) == ("BillingStored", True, "UsageStoredNotSigned")
    assert "not signed: " in said.message
    assert stage.spool.waiting() == []
    stage.signer = Chancy()
    stage.uploader._signer = stage.signer
    stage.recorder.sample()
    stage.recorder.close()
    assert await stage.uploader.upload_waiting() is None
    assert stage.space.said[-1].reason == "UsageStored"


async def test_a_key_that_was_away_for_hours_is_told_until_the_next_signature_vouches_for_all(tmp_path):
    stage = await signed_stage(tmp_path, rate=0.1)
    await stage.boot()
    stage.signer.wrong = failure("DisabledException")
    await stage.play(300)
    assert "NotSigned" in {fault.reason for fault in verdict(stage).faults}
    stage.signer.wrong = None
    await stage.play(60)
    assert "NotSigned" not in {fault.reason for fault in verdict(stage).faults}


def settings(**changes):
    return SimpleNamespace(**{"signing_key_file": "", "signing_kms_key_id": "", "region": "us-west-2"} | changes)


def test_who_names_no_key_signs_nothing():
    assert signer_of(settings(), {}) is None
    assert SETTINGS.signing_key_file == SETTINGS.signing_kms_key_id == ""


def holds(public, sha256, made):
    return public.holds(Signature(head_statement(sha256), made.algorithm, made.key, made.signature))


async def test_a_file_is_read_each_time_for_its_secret_is_rotated_under_the_pod(tmp_path):
    path, signer = tmp_path / "signing.key", Signer(settings(signing_key_file=str(tmp_path / "signing.key")), {})
    for _ in range(2):
        private = ed25519.Ed25519PrivateKey.generate()
        path.write_bytes(pem(private))
        (tmp_path / "key.pub").write_bytes(public_pem(private.public_key()))
        assert holds(PublicKey(tmp_path / "key.pub"), CTP1.id, await signer.sign(CTP1.id))


@pytest.mark.parametrize("content", [None, b"", b"secret", pem(ec.generate_private_key(ec.SECP256R1()))])
async def test_a_file_that_is_no_key_is_named_and_what_it_holds_is_not_shown(tmp_path, content):
    path = tmp_path / "signing.key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Permanent) as error:
        await Signer(settings(signing_key_file=str(path)), {}).sign(CTP1.id)
    assert str(path) in str(error.value)
    assert "secret" not in str(error.value).replace(str(path), "")


@pytest.fixture
def world():
    found = World()
    yield found
    found.close()


async def test_kms_is_asked_once_for_each_signature_and_follows_its_alias(world, monkeypatch):
    calls = []
    kms = world.aws("kms", a_role(world, allow(["kms:DescribeKey", "kms:Sign"])))
    admin = world.aws("kms")
    keys = [
        admin.create_key(KeyUsage="SIGN_VERIFY", KeySpec=spec)["KeyMetadata"]["KeyId"]
        for spec in ("ECC_NIST_P256", "ECC_NIST_P384")
    ]
    admin.create_alias(AliasName="alias/billing", TargetKeyId=keys[0])

    def call(service, operation, **params):
        calls.append(operation)
        name = {"DescribeKey": "describe_key", "Sign": "sign"}[operation]
        return getattr(kms, name)(**params)

    session = SimpleNamespace(call_blocking=call)
    monkeypatch.setattr(signing.Session, "from_environment", lambda *_, **__: session)
    signer = Signer(settings(signing_kms_key_id="alias/billing"), {})
    for _ in range(3):
        made = await signer.sign(CTP1.id)
        assert KmsKey(SimpleNamespace(call_blocking=asking(admin)), keys[0]).holds(
            Signature(head_statement(CTP1.id), made.algorithm, made.key, made.signature)
        )
    assert calls == ["DescribeKey", "Sign", "Sign", "Sign"]
    admin.update_alias(AliasName="alias/billing", TargetKeyId=keys[1])
    with pytest.raises(Exception, match="ECDSA_SHA_256"):
        await signer.sign(CTP1.id)
    assert (await signer.sign(CTP1.id)).algorithm == "ECDSA_SHA_384"


def asking(kms):
    return lambda _, operation, **params: getattr(kms, operation.lower())(**params)


async def test_an_answer_that_is_not_kms_is_a_failure_like_any_other(monkeypatch):
    session = SimpleNamespace(call_blocking=lambda *_, **__: {})
    monkeypatch.setattr(signing.Session, "from_environment", lambda *_, **__: session)
    with pytest.raises(Permanent, match="alias/x: expected a signature"):
        await Signer(settings(signing_kms_key_id="alias/x"), {}).sign(Path("x").name)
