"""How many PUTs a month of one control plane is: what a bucket's owner pays for how often usage is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyless.billing.collector.plan import Recording, must_close, next_sample_at
from unit.billing.faults.stage import SETTINGS, Stage
from unit.billing.samples import NOON

START, MONTH = datetime(2026, 10, 1, tzinfo=UTC), timedelta(days=31)
PUTS_OF_A_SEGMENT = 2
# With a volume, whether its interval is set, and the most PUTs of a month of 31 days.
PRICES = [(True, 0, 1_500), (False, 0, 18_000), (True, 60, 89_300), (False, 60, 89_300), (False, 3600, 1_500)]


@pytest.mark.parametrize(("volume", "flush", "most"), PRICES)
def test_a_month_of_a_control_plane_is_no_more_puts_than_are_priced(volume: bool, flush: int, most: int) -> None:
    settings = replace(SETTINGS, spool_persistent=volume, flush_seconds=flush)
    recording, now, segments = Recording(None, 0, None, ever_closed=False), START, 0
    while now < START + MONTH:
        if must_close(recording, now, settings.flush_interval):
            segments += 1
            recording = Recording(None, 0, now, ever_closed=True)
        opened = recording.opened_at or now
        recording = replace(recording, opened_at=opened, samples=recording.samples + 1, last_sample=now)
        now = next_sample_at(now, settings.interval)
    assert most * 0.95 < segments * PUTS_OF_A_SEGMENT <= most


@pytest.mark.parametrize("volume", [True, False])
async def test_a_segment_is_two_puts_dimensions_included(tmp_path: Path, volume: bool) -> None:
    stage = Stage(tmp_path, start=NOON, volume=volume)
    await stage.play(1500)
    await stage.end()
    puts = list(stage.bucket.requests)
    manifests = [key for key in puts if key.startswith("manifest/account=")]
    assert len(manifests) > 2
    assert len(puts) == len(manifests) * PUTS_OF_A_SEGMENT
