"""``keyless billing report``: what it prints, from which flags, and with which code it ends."""

import json
from dataclasses import replace

import pytest

from keyless.cli import exits
from keyless.cli.app import main
from unit.billing.samples import CTP1, VPC
from unit.billing.teams_bucket import HOUR, Filler, two_teams
from unit.billing.test_usage_report import START

DAY = "--billing-custom=2026-10-30/2026-10-30"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of a bucket, as ``aws s3 sync`` makes it."""
    folder = tmp_path_factory.mktemp("copy")
    for key, body in two_teams(START, 24).objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return folder


def report(folder, *words):
    return main(["billing", "report", "--account=acme", f"--folder={folder}", *words])


def test_a_day_by_team_is_a_table_with_its_total(copy, capsys):
    assert report(copy, DAY) == exits.HELD
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Usage of account acme from 2026-10-30 00:00 to 2026-10-31 00:00 (UTC)"
    assert [line.split()[:3] for line in lines if line.split()[:1] in (["payments"], ["search"], ["unallocated"])] == [
        ["payments", "324", "324.0000"],
        ["search", "48", "48.0000"],
        ["unallocated", "24", "24.0000"],
    ]
    assert lines[-1].split()[:3] == ["total", "396", "396.0000"]


def test_prices_and_rules_come_from_files_and_the_report_goes_to_one(copy, tmp_path, capsys):
    (tmp_path / "prices.yaml").write_text('prices: [{currency: EUR, price: "0.5"}]')
    (tmp_path / "teams.yaml").write_text("teams: [{from: group}]")
    out = tmp_path / "page.html"
    flags = (f"--prices={tmp_path}/prices.yaml", f"--teams={tmp_path}/teams.yaml", DAY)
    assert report(copy, *flags, "--output=json") == exits.HELD
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["total"]["costs"]) == ("UsageReport", [{"currency": "EUR", "amount": "198.00"}])
    assert [line["values"] for line in found["lines"]] == [["default"], ["search"]]
    assert report(copy, *flags, "--output=html", f"--out={out}") == exits.HELD
    assert "198.00 EUR" in out.read_text()
    assert report(copy, *flags, "--output=html", f"--out={out}") != exits.HELD, "a file is never overwritten"


def test_accounts_are_repeated_or_all_of_them_and_one_of_the_environment_gives_way(tmp_path, capsys, monkeypatch):
    bucket = two_teams(START, 24)
    theirs = [replace(CTP1, id="22222222-5bb8-4a7e-9f41-2fc38ef4b065", host_namespace="mxp-2-system")]
    filler = Filler(bucket, 0, START, account="globex", planes=theirs)
    for number in range(24):
        filler.hour(START + number * HOUR, [(VPC, None, 2)])
    for key, body in bucket.objects.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(body)

    def accounts(*words):
        command = ["billing", "report", f"--folder={tmp_path}", DAY, "--by=account", "-ojson"]
        assert main([*command, *words]) == exits.HELD
        return {
            line["values"][0]: line["maximumResourceHours"] for line in json.loads(capsys.readouterr().out)["lines"]
        }

    both = {"acme": 396, "globex": 48}
    assert accounts("--account=acme", "--account=globex") == accounts("--all-accounts") == both
    monkeypatch.setenv("UP_BILLING_ACCOUNT", "acme globex")
    assert accounts() == both
    monkeypatch.setenv("UP_BILLING_ACCOUNT", "acme")
    assert accounts() == {"acme": 396}
    assert accounts("--all-accounts") == both


@pytest.mark.parametrize("words", [(), ("--account=acme", "--all-accounts")])
def test_accounts_are_named_or_all_of_them_are_asked_for(copy, capsys, words):
    assert main(["billing", "report", f"--folder={copy}", DAY, *words]) == exits.WRONG_USE
    assert "expected one of --account and --all-accounts" in " ".join(capsys.readouterr().err.split())


def test_all_accounts_of_a_period_without_any_is_no_empty_report(copy, capsys):
    command = ["billing", "report", f"--folder={copy}", "--all-accounts", "--billing-month=2020-01"]
    assert main(command) == exits.DID_NOT_HOLD
    assert "expected usage of any account" in " ".join(capsys.readouterr().err.split())


def test_days_are_those_of_the_zone(copy, capsys):
    assert report(copy, DAY, "--time-zone=Asia/Tokyo", "--by=day", "-ojson", "--force-incomplete") == exits.HELD
    found = json.loads(capsys.readouterr().out)
    assert (found["from"], found["to"]) == ("2026-10-29T15:00:00Z", "2026-10-30T15:00:00Z")
    assert found["lines"][0]["maximumResourceHours"] == sum(range(1, 16)) + 4 * 15


def test_changes_since_a_report_are_of_its_account_and_period(copy, tmp_path, capsys):
    earlier = tmp_path / "earlier.json"
    assert report(copy, DAY, "--time-zone=Asia/Tokyo", "-ojson", "--force-incomplete", f"--out={earlier}") == exits.HELD
    command = ["billing", "report", f"--folder={copy}", f"--since={earlier}"]
    capsys.readouterr()
    assert main([*command, "--force-incomplete"]) == exits.HELD
    said = capsys.readouterr().out
    assert said.startswith(
        "Usage of account acme from 2026-10-29T15:00:00Z to 2026-10-30T15:00:00Z: what changed since"
    )
    assert "the report stands" in said
    wrong = {
        (DAY,): "expected no period beside it",
        ("--output=html",): "expected text, csv, json beside --since",
        ("--by=revision",): "which tells each revision",
    }
    for words, told in wrong.items():
        assert main([*command, *words]) == exits.WRONG_USE
        assert told in " ".join(capsys.readouterr().err.split())
    assert main([*command[:-1], f"--since={tmp_path}/none.json"]) != exits.HELD
    assert "none.json" in capsys.readouterr().err
    earlier.write_text("{}")
    assert main(command) != exits.HELD
    assert "earlier.json: expected what `keyless billing report --output json` prints" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--by=colour", DAY), "found 'colour'"),
        (("--by=team", "--by=team", DAY), "each field once"),
        (("--meter=all-of-it", DAY), "--meter: expected one of managed"),
        (("--time-zone=Europe/Berlinn", DAY), "expected a name as Europe/Berlin"),
        (("--time-zone=../etc/passwd", DAY), "expected a name as Europe/Berlin"),
        ((), "expected one of --billing-month and --billing-custom"),
        (("--billing-month=2999-01",), "expected a period of which an hour is over"),
        (("--billing-custom=2026-10-31/2026-10-01",), "expected a last day from 2026-10-31 on, found 2026-10-01"),
        (("--bucket=b", DAY), "expected one of --bucket and --folder"),
        (("--output=parquet", DAY), "expected --out=FILE beside it"),
        (("--output=csv", "--out=x.parquet", DAY), "expected parquet or focus for x.parquet"),
    ],
)
def test_wrong_use_names_what_is_wrong(copy, capsys, words, said):
    assert report(copy, *words) == exits.WRONG_USE
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_file_that_is_not_there_or_not_right_is_named(copy, tmp_path, capsys):
    assert report(copy, DAY, f"--teams={tmp_path}/none.yaml") != exits.HELD
    assert "none.yaml" in capsys.readouterr().err
    for flag in ("--prices", "--teams"):
        (tmp_path / "latin.yaml").write_bytes("prices: équipe".encode("latin-1"))
        assert report(copy, DAY, f"{flag}={tmp_path}/latin.yaml") == exits.WRONG_USE
        assert "latin.yaml: expected a text in UTF-8" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "prices.yaml").write_text("prices: [{currency: EUR, price: 0.5}]")
    assert report(copy, DAY, f"--prices={tmp_path}/prices.yaml") == exits.WRONG_USE
    assert "prices[0].price" in " ".join(capsys.readouterr().err.split())


def test_missing_usage_is_refused_with_the_command_that_settles_it(copy, capsys):
    assert report(copy, "--billing-custom=2026-10-30/2026-10-31") == exits.DID_NOT_HOLD
    assert "billing waive" in capsys.readouterr().err


def test_capacity_is_compared_with_usage_of_every_meter(copy, capsys):
    flags = ("--from=2026-10-30", "--to=2026-10-30", "--operations=1")
    command = ["billing", "capacity", "--account=acme", f"--folder={copy}", *flags]
    assert main([*command, "--resource-hours=400"]) == exits.HELD
    assert "ok resource-hours: 396.00 of 400 (99.00%)" in capsys.readouterr().out
    assert main([*command, "--resource-hours=396"]) == exits.DID_NOT_HOLD
    assert "FAILED resource-hours: 396.00 of 396 (100.00%)" in capsys.readouterr().out
    assert main(["billing", "capacity", "--account=acme", f"--folder={copy}", *flags[:2]]) == exits.WRONG_USE
    capsys.readouterr()
    assert main([*command[:-2], "--to=2026-10-01", "--operations=1"]) == exits.WRONG_USE
    assert "expected a last day from 2026-10-30 on, found 2026-10-01" in " ".join(capsys.readouterr().err.split())
