"""The plugin over its real socket against the local KMS: what kube-apiserver is told, on good days and bad ones."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from keyless.api.sealed_by import KmsKey
from keyless.aws import AwsPermanent, AwsTransient
from keyless.aws.errors import Said
from keyless.encryption import plan
from keyless.encryption import plugin as module
from keyless.encryption.messages import EncryptResponse
from keyless.encryption.plugin import Sockets
from unit.encryption.stage import PLANE, SEED, Caller, CloudKms
from unit.local.cloud.support import World, a_role, allow


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def key(world):
    return world.aws("kms").create_key()["KeyMetadata"]


def named(key, of: str = PLANE, name: str = "of-x.2") -> KmsKey:
    return KmsKey(name, key["Arn"], of)


@asynccontextmanager
async def plugin(folder: Path, kms: CloudKms, *keys: KmsKey):
    sockets = Sockets(folder, kms, lambda: None)
    await sockets.keep(keys)
    try:
        async with Caller(folder, keys[0]) as caller:
            yield caller, sockets
    finally:
        await sockets.close()


def time_is(now: float):
    return lambda: now


def refused(code: str, operation: str = "Decrypt", *, again: bool = False):
    return (AwsTransient if again else AwsPermanent)(Said(operation, code, f"about {SEED.hex()}"))


async def test_what_is_encrypted_comes_back_and_nothing_else_opens_it(world, key, tmp_path):
    kms = CloudKms(world)
    async with plugin(tmp_path, kms, named(key)) as (caller, _):
        told = await caller.status()
        assert (told.version, told.healthz) == ("v2", "ok")
        assert told.key_id == f"{key['Arn']}#{key['CurrentKeyMaterialId']}"
        sealed = await caller.encrypt(SEED)
        assert sealed.key_id == told.key_id
        assert SEED not in sealed.ciphertext
        assert len(sealed.ciphertext) < plan.CIPHERTEXT_LIMIT
        assert await caller.decrypt(sealed) == SEED
    async with plugin(tmp_path, kms, named(key, of="another")) as (caller, _):
        with pytest.raises(GRPCError, match="InvalidCiphertext") as raised:
            await caller.decrypt(sealed)
        assert raised.value.status is Status.INVALID_ARGUMENT
        assert (await caller.status()).healthz == "ok", "a ciphertext of another says nothing about the key"
    # A restored control plane reads with the other's context.
    async with plugin(tmp_path, kms, named(key, name="of-y.1")) as (caller, _):
        assert await caller.decrypt(sealed) == SEED


async def test_the_id_is_the_same_until_kms_rotates_and_older_ciphertexts_still_open(world, key, tmp_path):
    kms = CloudKms(world)
    async with plugin(tmp_path, kms, named(key)) as (caller, sockets):
        before = await caller.encrypt(SEED)
        assert {(await caller.status()).key_id for _ in range(3)} == {before.key_id}
        assert kms.asked.count("DescribeKey") == 1, "KMS is not asked for each question"
        world.aws("kms").rotate_key_on_demand(KeyId=key["KeyId"])
        (own,) = sockets.plugins
        own._now = time_is(own._now() + plan.FRESH_SECONDS)
        after = await caller.status()
        assert after.healthz == "ok"
        assert after.key_id != before.key_id
        assert plan.arn_of(after.key_id) == plan.arn_of(before.key_id)
        assert await caller.decrypt(before) == SEED
        assert (await caller.encrypt(SEED)).key_id == after.key_id


async def test_an_alias_that_moves_is_another_key_and_what_the_old_one_sealed_opens(world, key, tmp_path):
    other = world.aws("kms").create_key()["KeyMetadata"]
    world.aws("kms").create_alias(AliasName="alias/secrets", TargetKeyId=key["KeyId"])
    kms = CloudKms(world)
    async with plugin(tmp_path, kms, KmsKey("of-x.2", "alias/secrets", PLANE)) as (caller, sockets):
        before = await caller.encrypt(SEED)
        world.aws("kms").update_alias(AliasName="alias/secrets", TargetKeyId=other["KeyId"])
        (own,) = sockets.plugins
        own._now = time_is(own._now() + plan.FRESH_SECONDS)
        assert plan.arn_of((await caller.status()).key_id) == other["Arn"]
        assert await caller.decrypt(before) == SEED


BAD_DAYS = {
    "AccessDeniedException": (Status.PERMISSION_DENIED, "allow kms:Encrypt"),
    "DisabledException": (Status.FAILED_PRECONDITION, "enable-key"),
    "KMSInvalidStateException": (Status.FAILED_PRECONDITION, "cancel-key-deletion"),
    "NotFoundException": (Status.NOT_FOUND, "named by its ARN"),
    "ThrottlingException": (Status.UNAVAILABLE, "fewer calls"),
    "RequestTimeout": (Status.UNAVAILABLE, "tried again"),
    "InternalFailure": (Status.UNAVAILABLE, "tried again"),
}


@pytest.mark.parametrize("code", BAD_DAYS)
async def test_a_refusal_is_told_with_its_code_and_fix_and_the_id_stays(world, key, tmp_path, code, caplog):
    caplog.set_level(logging.DEBUG)
    kms = CloudKms(world)
    status, fix = BAD_DAYS[code]
    async with plugin(tmp_path, kms, named(key)) as (caller, _):
        well = await caller.status()
        sealed = await caller.encrypt(SEED)
        kms.fails = {name: refused(code, name) for name in ("Encrypt", "Decrypt", "DescribeKey")}
        with pytest.raises(GRPCError) as raised:
            await caller.encrypt(SEED)
        assert raised.value.status is status
        assert code in str(raised.value.message)
        assert fix in str(raised.value.message)
        told = await caller.status()
        assert told.key_id == well.key_id, "with another id kube-apiserver would stop writing"
        assert code in told.healthz
        kms.fails = {}
        assert (await caller.status()).healthz == "ok", "it is looked at again at once"
        assert await caller.decrypt(sealed) == SEED
    for secret in (SEED.hex(), repr(SEED), sealed.ciphertext.hex()):
        assert secret not in str(raised.value.message) + told.healthz + caplog.text


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            Said("AssumeRoleWithWebIdentity", "AccessDenied", "Not authorized"),
            "AssumeRoleWithWebIdentity: AccessDenied",
        ),
        (Said("AssumeRoleWithWebIdentity", "InvalidIdentityToken", "no provider"), "InvalidIdentityToken"),
        (Said("DescribeKey", "AccessDeniedException", "no", answered=False), "credentials: AccessDeniedException"),
    ],
    ids=["trust", "provider", "association"],
)
async def test_where_the_pod_gets_no_credentials_nobody_is_sent_to_the_keys_policy(world, key, tmp_path, said, told):
    kms = CloudKms(world)
    async with plugin(tmp_path, kms, named(key)) as (caller, sockets):
        well = await caller.status()
        kms.fails = dict.fromkeys(("Encrypt", "Decrypt", "DescribeKey"), AwsPermanent(said))
        (own,) = sockets.plugins
        own._now = time_is(own._now() + plan.FRESH_SECONDS)
        looked = await caller.status()
        assert looked.key_id == well.key_id
        with pytest.raises(GRPCError) as raised:
            await caller.encrypt(SEED)
    for words in (looked.healthz, str(raised.value.message)):
        assert told in words
        assert "has to trust service account control-plane" in words
        assert "allow kms:" not in words


async def test_sts_that_asks_for_patience_is_no_fault_of_the_roles(world, key, tmp_path):
    kms = CloudKms(world)
    kms.fails = {"DescribeKey": AwsTransient(Said("AssumeRoleWithWebIdentity", "Throttling", "slow"))}
    async with plugin(tmp_path, kms, named(key)) as (caller, _):
        with pytest.raises(GRPCError, match="AssumeRoleWithWebIdentity: Throttling: it is tried again"):
            await caller.status()


async def test_a_process_that_begins_while_kms_is_away_knows_the_id(world, key, tmp_path):
    kms = CloudKms(world)
    async with plugin(tmp_path, kms, named(key)) as (caller, _):
        well = await caller.status()
    kms.fails = {"DescribeKey": refused("EndpointConnection", again=True)}
    async with plugin(tmp_path, kms, named(key)) as (caller, _):
        told = await caller.status()
    assert (told.key_id, told.healthz == "ok") == (well.key_id, False)
    (tmp_path / "of-x.2.key-id").write_bytes(b"\xff nonsense")
    async with plugin(tmp_path, kms, named(key)) as (caller, _):
        with pytest.raises(GRPCError, match="EndpointConnection"):
            await caller.status()


async def test_the_keys_real_states_and_rights_are_told(world, key, tmp_path):
    aws = world.aws("kms")
    role = a_role(world, allow(["kms:DescribeKey", "kms:Encrypt"], key["Arn"]))
    async with plugin(tmp_path, CloudKms(world, role), named(key)) as (caller, _):
        with pytest.raises(GRPCError, match="Decrypt: AccessDenied"):
            await caller.status()
    async with plugin(tmp_path, CloudKms(world), named(key)) as (caller, sockets):
        sealed = await caller.encrypt(SEED)
        for change, back, code in (
            (aws.disable_key, aws.enable_key, "Disabled"),
            (aws.schedule_key_deletion, aws.cancel_key_deletion, "KMSInvalidState"),
        ):
            change(KeyId=key["KeyId"])
            (own,) = sockets.plugins
            own._now = time_is(own._now() + plan.FRESH_SECONDS)
            assert code in (await caller.status()).healthz, "told by the next look, whoever decrypts"
            with pytest.raises(GRPCError, match=code):
                await caller.decrypt(sealed)
            assert code in (await caller.status()).healthz
            back(KeyId=key["KeyId"])
            aws.enable_key(KeyId=key["KeyId"])
            assert (await caller.status()).healthz == "ok"


async def test_a_key_that_signs_is_none_that_encrypts(world, tmp_path):
    signs = world.aws("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]
    async with plugin(tmp_path, CloudKms(world), named(signs)) as (caller, _):
        with pytest.raises(GRPCError, match=r"InvalidKeyUsage.*symmetric"):
            await caller.status()


@pytest.mark.parametrize("length", [0, plan.PLAINTEXT_LIMIT + 1, 60_000])
async def test_a_plaintext_that_kms_would_not_take_is_refused_here(world, key, tmp_path, length):
    kms = CloudKms(world)
    async with plugin(tmp_path, kms, named(key)) as (caller, _):
        with pytest.raises(GRPCError, match=f"found {length}") as raised:
            await caller.encrypt(b"x" * length)
        assert raised.value.status is Status.INVALID_ARGUMENT
    assert kms.asked == []


@pytest.mark.parametrize(
    ("ciphertext", "key_id"),
    [
        (b"", "arn:aws:kms:us-west-2:111122223333:key/k"),
        (b"x", ""),
        (b"x", "alias/mine"),
        (b"x" * 2000, "arn:aws:kms:us-west-2:111122223333:key/k"),
        (b"x", "arn:aws:s3:::bucket"),
        (b"x", "arn:aws:kms:us-west-2:111122223333:alias/a"),
        (b"x", "arn:aws:kms:::key/k"),
    ],
)
async def test_what_no_plugin_of_ours_wrote_is_asked_of_nobody(world, key, tmp_path, ciphertext, key_id):
    kms = CloudKms(world)
    async with plugin(tmp_path, kms, named(key)) as (caller, _):
        with pytest.raises(GRPCError) as raised:
            await caller.decrypt(EncryptResponse(ciphertext, key_id))
        assert raised.value.status is Status.INVALID_ARGUMENT
    assert kms.asked == []


async def test_what_another_key_sealed_and_is_refused_says_nothing_of_this_one(world, key, tmp_path):
    kms = CloudKms(world)
    changes: list[str] = []
    async with plugin(tmp_path, kms, named(key)) as (caller, sockets):
        (own,) = sockets.plugins
        await caller.status()
        own._changed = lambda: changes.append(own.found.trouble)
        sealed = await caller.encrypt(SEED)
        gone = f"{key['Arn'].partition('key/')[0]}key/0123"
        for key_id in (gone, gone.replace("us-west-2", "eu-west-1")):
            with pytest.raises(GRPCError) as raised:
                await caller.decrypt(EncryptResponse(sealed.ciphertext, key_id))
            assert raised.value.status is Status.NOT_FOUND
        assert own.found.is_well
        assert changes == []


async def test_a_kms_that_hangs_ends_with_the_callers_deadline(world, key, tmp_path):
    class Hanging(CloudKms):
        async def call(self, operation, key_id, seconds, /, **params):
            assert seconds <= 1.0, "no longer than the caller waits"
            await asyncio.Event().wait()

    async with plugin(tmp_path, Hanging(world), named(key)) as (caller, _):
        with pytest.raises((GRPCError, TimeoutError)):
            await caller.status(timeout=0.3)


async def test_a_kms_that_hangs_is_told_in_time_with_the_id_that_is_known(world, key, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STATUS_SECONDS", 0.3)
    kms, hangs = CloudKms(world), asyncio.Event()

    async def hang(*_: object, **__: object) -> None:
        await hangs.wait()

    async with plugin(tmp_path, kms, named(key)) as (caller, sockets):
        (own,) = sockets.plugins
        monkeypatch.setattr(module, "STATUS_SECONDS", 20.0)
        well = await caller.status(timeout=20)
        monkeypatch.setattr(module, "STATUS_SECONDS", 0.3)
        own._now = time_is(own._now() + plan.FRESH_SECONDS)
        monkeypatch.setattr(kms, "call", hang)
        told = await caller.status()
        assert told.key_id == well.key_id, "an error instead would end the writing of Secrets within three minutes"
        assert "RequestTimeout" in told.healthz


async def test_keys_come_and_go_under_a_plugin_that_goes_on(world, key, tmp_path):
    first, second = named(key), named(key, name="of-x.3")
    kms = CloudKms(world)
    async with plugin(tmp_path, kms, first) as (caller, sockets):
        sealed = await caller.encrypt(SEED)
        await sockets.keep((first, second))
        async with Caller(tmp_path, second) as other:
            assert await other.decrypt(sealed) == SEED
            assert await caller.decrypt(sealed) == SEED
            await sockets.keep((second,))
            assert await other.decrypt(sealed) == SEED
        assert {each.stat().st_mode & 0o777 for each in tmp_path.glob("*.sock")} == {0o600}


async def test_a_key_policy_can_hold_the_role_to_one_control_plane(world, key, tmp_path):
    condition = {"StringEquals": {f"kms:EncryptionContext:{plan.CONTEXT_KEY}": PLANE}}
    crypts = allow(["kms:Encrypt", "kms:Decrypt"], key["Arn"], Condition=condition)
    role = a_role(world, allow("kms:DescribeKey", key["Arn"]), crypts)
    async with plugin(tmp_path, CloudKms(world, role), named(key)) as (caller, _):
        assert (await caller.status()).healthz == "ok"
    async with plugin(tmp_path, CloudKms(world, role), named(key, of="another", name="of-z.2")) as (caller, _):
        with pytest.raises(GRPCError, match="Encrypt: AccessDenied"):
            await caller.status()
