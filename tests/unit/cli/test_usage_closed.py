"""``keyless billing export-closed``: what a job that runs by a schedule prints, and with which code it ends."""

import pytest

from keyless.billing.ledger.report_reading import report_untrusted
from keyless.cli import exits
from keyless.cli.app import main
from unit.billing.bucket import s3_over_http
from unit.billing.test_scheduled import Store, used_in


@pytest.fixture(autouse=True)
def _caller(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def run(url, work, *words):
    flags = ("--bucket=usage", "--account=acme", f"--endpoint={url}", f"--work={work}")
    return main(["billing", "export-closed", *flags, *words])


def test_each_month_is_told_as_it_is_written_and_the_second_run_has_nothing_to_do(tmp_path, capsys):
    bucket = Store()
    used_in(bucket, "2019-08")
    used_in(bucket, "2019-09")
    with s3_over_http(bucket) as (url, requests):
        run(url, tmp_path)
        told = capsys.readouterr().out.splitlines()
        assert told[:2] == [
            "2019-08: written to s3://usage/report/account=acme/2019-08.tgz, 2 rows",
            "2019-09: written to s3://usage/report/account=acme/2019-09.tgz, 2 rows",
        ]
        report = report_untrusted("written", bucket.objects["report/account=acme/2019-08.tgz"])
        assert (report.account, len(report.rows)) == ("acme", 2)
        assert sum(request.startswith("PUT") for request in requests) == 2
        run(url, tmp_path)
        assert "report/account" not in capsys.readouterr().out
        assert sum(request.startswith("PUT") for request in requests) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_is_told_with_the_command_that_settles_it_and_code_1(tmp_path, capsys, monkeypatch):
    bucket = Store()
    used_in(bucket, "2019-08", stored=1)
    with s3_over_http(bucket) as (url, _):
        monkeypatch.setattr("keyless.billing.export.plan.closed_month", lambda _: "2019-08")
        monkeypatch.setattr("keyless.billing.export.scheduled.closed_month", lambda _: "2019-08")
        assert run(url, tmp_path) == exits.DID_NOT_HOLD
        told = capsys.readouterr()
        assert "2019-08: not written: usage is missing" in told.err
        assert "billing waive --bucket=usage" in told.err
        assert told.out == "0 reports written, 1 refused; months are closed up to 2019-08\n"
        assert run(url, tmp_path, "--force-incomplete") == exits.HELD
        assert capsys.readouterr().out.endswith("1 report written, 0 refused; months are closed up to 2019-08\n")


def test_reports_may_go_to_another_bucket_and_a_prefix_of_their_own(tmp_path, capsys, monkeypatch):
    bucket = Store()
    used_in(bucket, "2019-08")
    monkeypatch.setattr("keyless.billing.export.scheduled.closed_month", lambda _: "2019-08")
    with s3_over_http(bucket) as (url, requests):
        assert run(url, tmp_path, "--report-bucket=finance", "--prefix=billing/reports") == exits.HELD
    assert "s3://finance/billing/reports/account=acme/2019-08.tgz" in capsys.readouterr().out
    assert [r for r in requests if r.startswith("PUT")] == ["PUT /finance/billing/reports/account%3Dacme/2019-08.tgz"]


def test_a_bucket_that_cannot_be_reached_is_no_refused_month(tmp_path, capsys):
    assert run("http://127.0.0.1:9", tmp_path) == exits.OTHER_SIDE
    assert "127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--prefix=account=acme/x",), "expected a prefix of its own for reports"),
        (("--ssekms-key-id=alias/x",), "expected serverSideEncryption aws:kms beside it"),
    ],
)
def test_wrong_use_names_what_is_wrong(tmp_path, capsys, words, said):
    assert run("http://127.0.0.1:9", tmp_path, *words) == exits.WRONG_USE
    assert said in " ".join(capsys.readouterr().err.split())
