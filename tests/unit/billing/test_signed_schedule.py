"""Scheduled reports with their signatures, and what is said where KMS does not sign or verify."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keyless.aws import AwsPermanent, AwsTransient
from keyless.aws.errors import Said
from keyless.billing.export.keys import KeyFile, KmsKey, PublicKey
from keyless.billing.export.plan import Request, period_of
from keyless.billing.export.scheduled import export_closed
from keyless.billing.export.service import export
from keyless.billing.export.signatures import check_signature
from keyless.billing.ledger.signed import Signature
from keyless.cli import exits
from keyless.cli.app import main
from unit.billing.bucket import HOUR, event, member, s3_over_http
from unit.billing.test_scheduled import NOW, PLACE, KilledHere, Store, used_in
from unit.billing.test_signing import public_pem

PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(b"k" * 32)
LATE = "33333333-5bb8-4a7e-9f41-2fc38ef4b065"


@pytest.fixture
def keys(tmp_path):
    """The two halves, as files."""
    found = SimpleNamespace(private=tmp_path / "k.pem", public=tmp_path / "k.pub")
    found.private.write_bytes(PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    found.public.write_bytes(public_pem(PRIVATE.public_key()))
    return found


class Signed(Store):
    """A store in which a signature may be written over."""

    def put_over(self, key, body, content_type="application/json"):
        self._called()
        self.objects[key] = body
        self._called()


def run(store, key):
    def request(month):
        return Request("acme", period_of(month, ""), False)

    def read(_, asked):
        return export(store, asked, now=NOW)

    return list(export_closed(store, store, request, read, place=PLACE, now=NOW, key=key))


def two_months():
    store = Signed()
    for month in ("2026-09", "2026-10"):
        used_in(store, month)
    return store


def used_late(store):
    """More usage of the last month, which comes between two runs."""
    hour = period_of("2026-10", "")[1] - HOUR
    life = member(LATE, createdAt=f"{hour:%Y-%m-%dT%H:%M:%SZ}", deletedAt=f"{hour + HOUR:%Y-%m-%dT%H:%M:%SZ}")
    store.store_hour(hour, event(5.0, plane=LATE), plane=LATE, census=[life], controlPlane=life)


def wrong(store, month, keys, tmp_path):
    """What is wrong with a report's signature; empty: nothing."""
    report = tmp_path / f"{month}.tgz"
    report.write_bytes(store.objects[f"{PLACE}{month}.tgz"])
    signature = tmp_path / f"{month}.tgz.sig"
    signature.write_bytes(store.objects[f"{PLACE}{month}.tgz.sig"])
    return check_signature(report, signature, PublicKey(keys.public), "acme")[0]


def test_each_report_has_its_signature_beside_it(keys, tmp_path):
    store = two_months()
    made = run(store, KeyFile(keys.private))
    assert [(each.month, each.signed, each.there) for each in made] == [
        ("2026-09", True, False), ("2026-10", True, False)
    ]  # fmt: skip
    assert [wrong(store, month, keys, tmp_path) for month in ("2026-09", "2026-10")] == ["", ""]
    assert run(store, KeyFile(keys.private)) == []
    store.objects[f"{PLACE}2026-10.tgz"] = store.objects[f"{PLACE}2026-09.tgz"]
    assert "expected the report with SHA-256" in wrong(store, "2026-10", keys, tmp_path)


def test_a_run_that_is_killed_anywhere_leaves_no_report_without_its_own_signature(keys, tmp_path):
    key, cut = KeyFile(keys.private), 0
    for last in range(40):
        store = two_months()
        store.left = last
        with suppress(KilledHere):
            run(store, key)
        cut += store.left == 0
        store.left = None
        for month in ("2026-09", "2026-10"):
            if f"{PLACE}{month}.tgz" in store.objects:
                assert wrong(store, month, keys, tmp_path) == ""
        used_late(store)
        run(store, key)
        assert [wrong(store, month, keys, tmp_path) for month in ("2026-09", "2026-10")] == ["", ""]
    assert 15 < cut < 40, "every call is the last one once"


def test_a_signature_whose_report_came_meanwhile_is_not_written_over(keys):
    store = two_months()
    put_new = store.put_new

    def overtaken(name, body, content_type="application/json"):
        if name.endswith("2026-10.tgz.sig"):
            store.objects |= {name: b"another's", name.removesuffix(".sig"): b"another's report"}
        return put_new(name, body, content_type)

    store.put_new = overtaken
    [_, last] = run(store, KeyFile(keys.private))
    assert last.there
    assert store.objects[f"{PLACE}2026-10.tgz.sig"] == b"another's"


def test_the_command_signs_and_who_has_the_public_key_verifies_without_aws(keys, tmp_path, capsys, monkeypatch):
    store = Store()
    used_in(store, "2019-08")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "example")
    monkeypatch.setattr("keyless.billing.export.plan.closed_month", lambda _: "2019-08")
    monkeypatch.setattr("keyless.billing.export.scheduled.closed_month", lambda _: "2019-08")
    monkeypatch.setenv("KEYLESS_BILLING_EXPORT_SIGN_KEY", str(keys.private))
    with s3_over_http(store) as (url, _):
        command = ["billing", "export-closed", "--account=acme", "--bucket=usage", f"--endpoint={url}"]
        assert main([*command, f"--work={tmp_path}"]) == exits.HELD
    assert "2 rows, signed\n1 report written" in capsys.readouterr().out
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name, body in store.objects.items():
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / name).write_bytes(body)
    report = tmp_path / "copy" / PLACE / "2019-08.tgz"
    verify = ["billing", "verify", "--account=acme", f"--folder={tmp_path}/copy", f"--report={report}"]
    main([*verify, f"--verify-key={keys.public}"])
    said = capsys.readouterr().out
    assert f"ok {report} is what it says" in said
    assert f"compared with 1 head of {report}.sig" in said
    report.write_bytes(report.read_bytes()[:-1])
    main([*verify, f"--verify-key={keys.public}"])
    assert f"ok {report}" not in capsys.readouterr().out


def test_a_key_that_lacks_is_named_before_anything_is_read(tmp_path, capsys):
    command = ["billing", "export-closed", "--account=acme", "--bucket=usage", f"--sign-key={tmp_path}/signing.key"]
    assert main(command) == exits.WRONG_USE
    assert "signing.key" in capsys.readouterr().err


def refusing(code, kind=AwsPermanent):
    def call_blocking(_, operation, **__):
        raise kind(Said(operation, code, "KMS's own words", "r-1"))

    return KmsKey(SimpleNamespace(call_blocking=call_blocking), "alias/billing")


STATEMENT = Signature(b"{}", "ECDSA_SHA_256", "key", b"s")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("NotFoundException", "one of another account, or its alias, is named by its ARN"),
        ("AccessDeniedException", "allow kms:{} on it to the caller"),
        ("DisabledException", "aws kms enable-key"),
        ("KMSInvalidStateException", "aws kms cancel-key-deletion"),
        ("InvalidKeyUsageException", "expected a key that was made to sign"),
    ],
)
def test_each_refusal_of_kms_names_the_key_and_what_to_do(code, advice):
    with pytest.raises(AwsPermanent) as verified:
        refusing(code).holds(STATEMENT)
    with pytest.raises(AwsPermanent) as signed:
        refusing(code).sign(b"{}")
    for failure, operation in ((verified, "Verify"), (signed, "DescribeKey")):
        said = str(failure.value)
        assert f"{operation}: {code}: KMS's own words: key alias/billing: " in said
        assert advice.format(operation) in said
        assert "(request r-1)" in said
        assert ("--verify-key" in said) == (operation == "Verify"), "a MAC, or what is not signed, has no public key"
        assert failure.value.code == code


def test_a_refusal_that_passes_by_itself_stays_one_and_keeps_its_words():
    with pytest.raises(AwsTransient, match="KMS's own words"):
        refusing("ThrottlingException", AwsTransient).holds(STATEMENT)
    with pytest.raises(AwsTransient, match="try it again"):
        refusing("KeyUnavailableException", AwsTransient).holds(STATEMENT)
    assert not refusing("KMSInvalidSignatureException").holds(STATEMENT)
