"""docs/how-to/serve-finance.md: each command of ours runs as it stands, and prints the page, word for word."""

from __future__ import annotations

import datetime as real
import re
import shlex
from pathlib import Path
from textwrap import dedent

import pytest

from keyless.cli.app import main
from unit.docs.finance_month import NOW, finance_month

PAGE = Path(__file__).resolve().parents[3] / "docs/how-to/serve-finance.md"
_BLOCKS = re.compile(r"(?:^    .*\n|^\n(?=    ))+", re.MULTILINE)
OURS = "keyless billing "


def shown():
    """Each block of the page that begins with a command of ours: the commands, and what stands below them."""
    for block in _BLOCKS.findall(PAGE.read_text()):
        text = re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n").replace("\\\n", " ")
        if text.startswith(OURS):
            commands, _, printed = text.partition("\n\n")
            yield [shlex.split(line)[1:] for line in commands.splitlines()], printed


def masked(text):
    """Without what hangs on the bytes that the zlib of this machine makes: digests and sizes."""
    return re.sub(r"\([0-9]+ bytes\)", "(N bytes)", re.sub(r"\b[0-9a-f]{16,64}\b", "DIGEST", text))


class _Then(real.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


@pytest.fixture(scope="module")
def month():
    bucket = finance_month()
    bucket.name = "BUCKET"
    put = bucket.put_new
    bucket.put_new = lambda key, body, _="": key not in bucket.objects and (put(key, body) or True)
    return bucket


@pytest.fixture
def _finance(month, tmp_path, monkeypatch):
    """At the month's end, in an empty folder, before the bucket of the page."""
    for name in ("billing", "usage_report", "usage_capacity"):
        monkeypatch.setattr(f"keyless.cli.{name}.datetime", _Then)
    monkeypatch.setattr("keyless.billing.export.plan.closed_month", lambda _: "2026-10")
    monkeypatch.setattr("keyless.billing.export.scheduled.closed_month", lambda _: "2026-10")
    monkeypatch.setattr("keyless.billing.export.s3.S3Bucket.from_environment", lambda *_: month)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    blocks = (dedent(block).strip() for block in _BLOCKS.findall(PAGE.read_text()))
    (sheet,) = (block for block in blocks if block.startswith("prices:"))
    (tmp_path / "prices.yaml").write_text(sheet)


@pytest.mark.usefixtures("_finance")
def test_every_command_prints_what_the_page_shows(tmp_path, capsys):
    ran = []
    for commands, printed in shown():
        told = []
        for words in commands:
            main(words)
            captured = capsys.readouterr()
            ran.append(words[1])
            # The heads that a cluster's ControlPlanes keep: a test has none.
            told += [
                line for line in (captured.out + captured.err).splitlines() if "what the cluster tells" not in line
            ]
        if printed:
            assert masked("\n".join(told).replace(f"{tmp_path}/", "/finance/").strip("\n")) == masked(printed)
    assert set(ran) == {"report", "verify", "capacity", "export-closed"}
