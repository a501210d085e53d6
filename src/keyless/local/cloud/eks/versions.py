"""The Kubernetes versions that EKS offers, with how long it supports each.

The cluster here has one of them; tools compare the whole list with what they know, so all are listed.
Facts: facts/kubernetes.md#versions-of-eks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

VERSION = "1.32"
PLATFORM = "eks.25"


@dataclass(frozen=True, slots=True)
class Offered:
    """A version: its platform, when EKS released it, and when its standard and its extended support end."""

    version: str
    platform: str
    released: date
    standard_until: date
    extended_until: date
    default: bool = False

    def described(self, now: float) -> dict[str, Any]:
        """As DescribeClusterVersions has it; what is supported depends on the time (epoch seconds)."""
        status = self._status(now)
        return {
            "clusterVersion": self.version,
            "clusterType": "eks",
            "defaultPlatformVersion": self.platform,
            "defaultVersion": self.default,
            "releaseDate": _seconds(self.released),
            "endOfStandardSupportDate": _seconds(self.standard_until),
            "endOfExtendedSupportDate": _seconds(self.extended_until),
            "status": status.lower().replace("_", "-"),
            "versionStatus": status,
        }

    def _status(self, now: float) -> str:
        if now < _seconds(self.standard_until):
            return "STANDARD_SUPPORT"
        return "EXTENDED_SUPPORT" if now < _seconds(self.extended_until) else "UNSUPPORTED"


#: newest first
OFFERED = (
    Offered("1.35", "eks.3", date(2026, 1, 27), date(2027, 3, 27), date(2028, 3, 27), default=True),
    Offered("1.34", "eks.13", date(2025, 10, 2), date(2026, 12, 2), date(2027, 12, 2)),
    Offered("1.33", "eks.27", date(2025, 5, 29), date(2026, 7, 29), date(2027, 7, 29)),
    Offered(VERSION, PLATFORM, date(2025, 1, 23), date(2026, 3, 23), date(2027, 3, 23)),
    Offered("1.31", "eks.50", date(2024, 9, 26), date(2025, 11, 26), date(2026, 11, 26)),
    Offered("1.30", "eks.58", date(2024, 5, 23), date(2025, 7, 23), date(2026, 7, 23)),
)


def described(asked: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
    """Those that a call asks for: by number, as the default alone, by cluster type or by status."""
    found = [one.described(now) for one in OFFERED if one.version in (asked.get("clusterVersions") or (one.version,))]
    wanted = {
        "clusterType": asked.get("clusterType"),
        "defaultVersion": True if asked.get("defaultOnly") else None,
        "status": asked.get("status"),
        "versionStatus": asked.get("versionStatus"),
    }
    return [one for one in found if all(value in (None, one[name]) for name, value in wanted.items())]


def _seconds(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
