"""``keyless billing``: every flag is used, every exit code kept, every printed command runs."""

import gzip
import json
import shlex
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from keyless.billing.access import export_access, export_statements
from keyless.cli.app import main
from keyless.cli.billing import app
from unit.billing.bucket import DAY, HOUR, OTHER, PLANE, MemoryBucket, event, full_day, s3_over_http

NOON = DAY + 12 * HOUR


@pytest.fixture(autouse=True)
def caller(monkeypatch, tmp_path):
    """A person with keys, in an empty folder, whose environment says nothing else."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN", "UP_BILLING_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "LOGNAME": "me",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def world():
    """A bucket with a complete day of acme and a broken one of beta, and another endpoint with other numbers."""
    bucket = full_day()
    bucket.store_hour(DAY, event(7.0, plane=OTHER), plane=OTHER, account="beta")
    other = MemoryBucket()
    for number in range(24):
        other.store_hour(DAY + number * HOUR, event(100.0))
    with s3_over_http(bucket) as (url, requests), s3_over_http(other) as (other_url, _):
        yield {"bucket": bucket, "url": url, "requests": requests, "other": other_url}


BASE = {
    "--account": "acme",
    "--bucket": "usage",
    "--endpoint": "{url}",
    "--billing-custom": "2026-10-31/2026-10-31",
    "--out": "report.tgz",
}


def run(world, tmp_path, **changes):
    """The outcome of an export: its code, and the rows of the file if there is one, and what was asked."""
    world["requests"].clear()
    flags = {name: value for name, value in (BASE | changes).items() if value is not None}
    words = [
        name if value is True else f"{name}={value.format(url=world['url'], other=world['other'])}"
        for name, value in flags.items()
    ]
    code = main(["billing", "export", *words])
    made = {}
    for path in sorted(tmp_path.rglob("*.tgz")):
        with tarfile.open(path) as opened:
            made[path.name] = [row["value"] for row in json.load(opened.extractfile("report/usage.json"))]
        path.unlink()
    return code, made, sorted({line.split("?")[0] for line in world["requests"]})


FLAGS = {
    "account": {"--account": "beta"},
    "bucket": {"--bucket": "elsewhere"},
    "provider": {"--provider": "gcp"},
    "endpoint": {"--endpoint": "{other}"},
    "billing_month": {"--billing-custom": None, "--billing-month": "2026-09"},
    "billing_custom": {"--billing-custom": "2026-10-30/2026-10-31"},
    "out": {"--out": "other.tgz"},
    "force_incomplete": {"--account": "beta", "--force-incomplete": True},
    "compat": {"--account": "beta", "--compat": True},
    "sign_key": {"--sign-key": "nowhere.pem"},
    "sign_kms": {"--sign-kms": "alias/billing", "--compat": True},
}


def test_every_flag_of_export_has_a_case():
    export = typer.main.get_command(app).commands["export"]
    assert {param.name for param in export.params} - {"help"} == set(FLAGS)
    assert {param.name: param.envvar for param in export.params if param.envvar} == {
        "account": "UP_BILLING_ACCOUNT",
        "bucket": "UP_BILLING_BUCKET",
        "provider": "UP_BILLING_PROVIDER",
        "endpoint": "UP_BILLING_ENDPOINT",
        "billing_month": "UP_BILLING_MONTH",
        "billing_custom": "UP_BILLING_CUSTOM",
        "out": "UP_BILLING_OUT",
        "force_incomplete": "UP_BILLING_FORCE_INCOMPLETE",
    }


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_changes_the_outcome(world, tmp_path, flag):
    case = FLAGS[flag]
    # A flag that only matters together with others is compared with the same call without it.
    without = {name: value for name, value in case.items() if name == "--account"} if len(case) == 2 else {}
    before = run(world, tmp_path, **without)
    assert run(world, tmp_path, **case) != before


def test_a_complete_period_is_said_in_the_peers_words(world, tmp_path, capsys):
    assert run(world, tmp_path)[:2] == (0, {"report.tgz": list(range(1, 25))})
    assert capsys.readouterr().out == (
        "Exporting billing report for Upbound account acme from 2026-10-31T00:00:00Z to 2026-11-01T00:00:00Z.\n"
        "\nReading usage data from storage...\nProvider: aws\nBucket: usage\n"
        f"Endpoint: {world['url']}\n"
        f"\nBilling report saved to {tmp_path / 'report.tgz'}\n"
    )


WRONG_USE = {
    "a month of one digit": {"--billing-custom": None, "--billing-month": "2026-1"},
    "a month that is none": {"--billing-custom": None, "--billing-month": "2026-13"},
    "two periods": {"--billing-month": "2026-10"},
    "no period": {"--billing-custom": None},
    "days in disorder": {"--billing-custom": "2026-10-31/2026-10-01"},
    "standard output": {"--out": "-"},
    "a folder that is not there": {"--out": "no/such/report.tgz"},
    "a folder": {"--out": "."},
    "a folder below a file": {"--out": "there.tgz/report.tgz"},
    "a name that is too long": {"--out": "x" * 300},
    "a file that exists": {"--out": "there.tgz"},
    "a device": {"--out": "/dev/null"},
    "no account": {"--account": ""},
    "no bucket": {"--bucket": ""},
    "a path for a bucket": {"--bucket": "usage/month"},
    "another cloud": {"--provider": "azure"},
    "an endpoint that is no URL": {"--endpoint": "localhost:9000"},
    "an endpoint that is no address": {"--endpoint": "http://[::1"},
    "an endpoint whose port is none": {"--endpoint": "http://localhost:99999"},
}


@pytest.mark.parametrize("name", WRONG_USE)
def test_wrong_use_is_found_before_anything_is_read(world, tmp_path, name, capsys):
    there = tmp_path / "there.tgz"
    there.write_bytes(b"kept")
    words = [f"{n}={v.format(**world)}" for n, v in (BASE | WRONG_USE[name]).items() if v is not None]
    assert main(["billing", "export", *words]) == 2
    assert world["requests"] == []
    assert there.read_bytes() == b"kept"
    assert [path.name for path in tmp_path.iterdir()] == ["there.tgz"]
    assert "Traceback" not in capsys.readouterr().err


def test_a_folder_that_may_not_be_written_is_found_before_anything_is_read(world, tmp_path, monkeypatch, capsys):
    def denied(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("keyless.billing.export.output.tempfile.mkstemp", denied)
    assert run(world, tmp_path)[0] == 2
    assert world["requests"] == []
    assert "report.tgz: the report could not be written: Permission denied" in capsys.readouterr().err


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path):
    from keyless.api import Permanent
    from keyless.billing.export.output import write_new

    def pieces():
        yield b"some"
        raise OSError(28, "No space left on device")

    with pytest.raises(Permanent, match="No space left"):
        write_new(tmp_path / "report.tgz", pieces())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    from keyless.api import Permanent
    from keyless.billing.export.output import write_new

    def pieces():
        (tmp_path / "report.tgz").write_bytes(b"theirs")
        yield b"ours"

    with pytest.raises(Permanent, match="already exists"):
        write_new(tmp_path / "report.tgz", pieces())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("report.tgz", b"theirs")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--account": "acmee"}, "account 'acme': 2026-10"),
        ({"--billing-custom": None, "--billing-month": "2031-01"}, "which has not begun"),
        ({"--account": "beta"}, "usage is missing"),
    ],
)
def test_a_refusal_is_code_1_says_what_there_is_and_leaves_no_file(world, tmp_path, changes, said, capsys):
    assert run(world, tmp_path, **changes)[:2] == (1, {})
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_running_month_is_code_1(world, tmp_path):
    month = datetime.now(UTC).strftime("%Y-%m")
    assert run(world, tmp_path, **{"--billing-custom": None, "--billing-month": month})[::2] == (1, [])


@pytest.mark.parametrize("code", ["NoSuchBucket", "AccessDenied", "InvalidAccessKeyId"])
def test_the_other_side_is_code_3_by_its_own_word(tmp_path, code, capsys):
    failing = (403, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())
    with s3_over_http(MemoryBucket(), failing=failing) as (url, requests):
        assert run({"url": url, "other": "", "requests": requests}, tmp_path)[:2] == (3, {})
    assert code in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def commands(text):
    """The printed commands, as words; the first is how this program was started."""
    lines = [line.partition(" billing waive ")[2] for line in text.splitlines() if " billing waive " in line]
    return [["keyless", "billing", "waive", *shlex.split(line)] for line in lines]


def test_the_commands_that_a_refusal_prints_run_and_settle_it(world, tmp_path, capsys):
    bucket = world["bucket"]
    for number in (3, 4, 9):
        for key in [key for key in bucket.objects if f"hour={number:02}" in key and "=acme/" in key]:
            del bucket.objects[key]
    bucket.objects["account=acme/date=2026-10-31/hour=12/an odd  'name'"] = gzip.compress(
        json.dumps([event(999.0)]).encode()
    )
    bucket.objects["account=acme/date=2026-10-31/hour=13/"] = b""
    assert run(world, tmp_path)[0] == 1
    printed = commands(capsys.readouterr().err)
    assert len(printed) == 4
    for words in printed:
        assert main(words[1:]) == 0
    assert capsys.readouterr().out.count("waived by me") == 4
    code, made, _ = run(world, tmp_path)
    assert code == 0
    assert 999 in made["report.tgz"]
    shown = capsys.readouterr().out
    assert "Waived in this period:" in shown
    assert shown.count("waived by me") == 4
    assert not [key for key in bucket.objects if key.startswith("account=") and "waive" in key]


def test_a_printed_command_runs_in_a_shell_as_it_stands(world, tmp_path, capsys):
    for key in [key for key in world["bucket"].objects if "hour=03" in key and "=acme/" in key]:
        del world["bucket"].objects[key]
    run(world, tmp_path)
    (line,) = [line.strip() for line in capsys.readouterr().err.splitlines() if " billing waive " in line]
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2026-10-31T03:00:00Z to 2026-10-31T04:00:00Z: waived by me" in done.stdout
    assert run(world, tmp_path)[0] == 0


def test_a_waiver_is_listed_and_taken_back_and_the_gap_is_open_again(world, tmp_path, capsys):
    flags = ["--account=acme", "--bucket=usage", f"--endpoint={world['url']}"]
    for key in [key for key in world["bucket"].objects if "hour=03" in key and "=acme/" in key]:
        del world["bucket"].objects[key]
    run(world, tmp_path)
    (words,) = commands(capsys.readouterr().err)
    assert main(["billing", "waivers", *flags]) == 0
    assert "Nothing is waived" in capsys.readouterr().out
    assert main(words[1:]) == 0
    assert run(world, tmp_path)[0] == 0
    capsys.readouterr()
    assert main(["billing", "waivers", *flags]) == 0
    ident = capsys.readouterr().out.split(":")[0].strip()
    assert main(["billing", "unwaive", "0" * 16, *flags, "--why=wrong"]) == 2
    assert main(["billing", "unwaive", ident, *flags, "--why=wrong"]) == 0
    assert run(world, tmp_path)[0] == 1


WAIVE = {
    "--account": "acme",
    "--why": "w",
    "--assumed": "a",
    "--control-plane": "id",
    "--from": "2026-10-31T12:00:00Z",
    "--to": "2026-10-31T13:00:00Z",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"--why": ""},
        {"--why": " "},
        {"--assumed": "x" * 3000},
        {"--why": "a\x1b[2J"},
        {"--control-plane": ""},
        {"--from": "yesterday"},
        {"--from": "2026-10-31"},
        {"--to": "2026-10-31T12:00:00Z"},
        {"--to": ""},
        {"--object": "account=acme/x"},
        {"--object": "account=beta/x", "--control-plane": "", "--from": "", "--to": ""},
        {"--count": True},
        {"--provider": "gcp"},
    ],
    ids=str,
)
def test_a_waiver_that_says_too_little_or_too_much_is_wrong_use(world, changes):
    words = [n if v is True else f"{n}={v}" for n, v in (WAIVE | changes).items()]
    assert main(["billing", "waive", "--bucket=usage", f"--endpoint={world['url']}", *words]) == 2
    assert world["requests"] == []


def test_every_flag_of_waive_reaches_the_record(world):
    words = ["--force", *(f"{n}={v}" for n, v in (WAIVE | {"--by": "you"}).items())]
    assert main(["billing", "waive", "--bucket=usage", "--provider=aws", f"--endpoint={world['url']}", *words]) == 0
    (key,) = [key for key in world["bucket"].objects if key.startswith("waiver/")]
    record = json.loads(world["bucket"].objects[key])
    made = datetime.fromisoformat(record.pop("at"))
    assert datetime.now(UTC) - made < timedelta(minutes=5)
    assert record == {
        "version": 1,
        "account": "acme",
        "controlPlane": "id",
        "from": "2026-10-31T12:00:00Z",
        "to": "2026-10-31T13:00:00Z",
        "by": "you",
        "why": "w",
        "assumed": "a",
    }


def test_a_waiver_of_what_the_bucket_does_not_know_is_not_recorded_but_with_force(world, capsys):
    words = ["billing", "waive", "--bucket=usage", f"--endpoint={world['url']}"]
    words += [f"{n}={v}" for n, v in (WAIVE | {"--control-plane": f"{PLANE[:-1]}6"}).items()]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert f"did you mean:\n  {PLANE} (default/ctp-706c)" in said
    assert "use --force to record it all the same" in said
    assert not [key for key in world["bucket"].objects if key.startswith("waiver/")]
    assert main([*words, "--force"]) == 0
    assert len([key for key in world["bucket"].objects if key.startswith("waiver/")]) == 1


def test_report_update_is_the_peers_spelling_and_merges_into_a_file_and_into_a_bucket(world, tmp_path, capsys):
    words = [f"{flag}={value.format(url=world['url'])}" for flag, value in BASE.items()]
    assert main(["billing", "export", *words]) == 0
    for target, more in (("new.tgz", []), ("reports/2026.tgz", ["--bucket", "usage", "--endpoint", world["url"]])):
        for _ in range(2):
            assert main(["billing", "report", "update", target, "report.tgz", *more]) == 0
        assert f"Billing report {target} updated: account acme" in capsys.readouterr().out
    made = (tmp_path / "report.tgz").read_bytes()
    assert gzip.decompress((tmp_path / "new.tgz").read_bytes()) == gzip.decompress(made)
    assert gzip.decompress(world["bucket"].objects["reports/2026.tgz"]) == gzip.decompress(made)


def test_a_signed_report_is_verified_with_its_public_key_and_a_changed_one_fails(world, tmp_path, capsys):
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "key.pub").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    words = [f"{flag}={value.format(url=world['url'])}" for flag, value in BASE.items()]
    assert main(["billing", "export", *words, "--sign-key=key.pem"]) == 0
    where = [word for word in words if not word.startswith("--out")]
    check = ["billing", "verify", *where, "--no-cluster", "--report=report.tgz", "--verify-key=key.pub"]
    main(check)
    assert "ok report.tgz is what it says" in capsys.readouterr().out
    signature = json.loads((tmp_path / "report.tgz.sig").read_text())
    (tmp_path / "report.tgz.sig").write_text(json.dumps(signature | {"signature": "AAAA"}))
    assert main(check) == 1
    assert "expected a signature of this key" in capsys.readouterr().out
    assert main(["billing", "export", *words, "--sign-key=key.pem", "--sign-kms=k"]) == 2
    assert main([*check, "--verify-kms=k"]) == 2


def test_a_job_exports_the_closed_month_into_a_file_of_its_name(world, tmp_path, monkeypatch):
    monkeypatch.setattr("keyless.billing.export.plan.closed_month", lambda _: "2026-10")
    flags = {"--billing-custom": None, "--billing-month": "closed", "--out": "acme-{{month}}.tgz"}
    code, made, _ = run(world, tmp_path, **flags, **{"--force-incomplete": True})
    assert (code, list(made)) == (0, ["acme-2026-10.tgz"])


def test_the_policy_on_the_page_is_the_one_that_the_scheduled_export_is_granted():
    page = (Path(__file__).parents[3] / "docs/how-to/export-a-month.md").read_text()
    block = page[page.index('    {"Version": "2012-10-17"') :].partition("\n\n")[0]
    needs = export_access("BUCKET", "ACCOUNT", ("BUCKET", "report"))

    def listed(statement):
        return {
            key: [value] if isinstance(value, str) and key != "Effect" else value for key, value in statement.items()
        }

    assert list(map(listed, json.loads(block)["Statement"])) == export_statements(needs, "ACCOUNT", "report")
