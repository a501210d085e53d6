"""What was bought, from the chart's values to the status of the SpaceLicense, on a Space that runs."""

from __future__ import annotations

import pytest

from e2e import acting, seeing
from e2e.local_space import LocalSpace
from keyless.kube import Kube
from keyless.kube.resources import SPACELICENSES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
BOUGHT = {
    ("capacity", "resourceHours"): 12000, ("capacity", "operations"): 500,
    ("capacity", "from"): "2026-10-01", ("capacity", "to"): "2126-09-30",
}  # fmt: skip


async def test_a_capacity_in_the_values_is_a_license_that_says_how_it_stands(space: LocalSpace, host: Kube) -> None:
    await acting.helm_upgrade(host, BOUGHT)
    try:
        wanted = {"resourceHours": 12000, "operations": 500}

        def lacks(found: acting.Object) -> str:
            told = (found.get("status") or {}).get("capacity")
            return "" if told == wanted else f"status.capacity is {told}"

        license_ = await seeing.wait_for(host, SPACELICENSES, "space", "", lacks, seconds=seeing.RETRY_SECONDS)
        assert license_["status"]["plan"] == "community"
        await seeing.condition_of_object(host, SPACELICENSES, "space", "", "LicenseValid", "True")
        conditions = {each["type"]: each for each in license_["status"]["conditions"]}
        assert conditions["CapacityLasts"]["reason"] in {"NotMeasured", "WithinCapacity"}
    finally:
        await acting.helm_upgrade(host, {})
