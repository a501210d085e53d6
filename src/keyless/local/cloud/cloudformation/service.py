"""CloudFormation as a service: its parts put together."""

from __future__ import annotations

from collections.abc import Callable

from keyless.local.cloud.cloudformation.actor import Actors
from keyless.local.cloud.cloudformation.change_sets import ChangeSets
from keyless.local.cloud.cloudformation.changing import Changing
from keyless.local.cloud.cloudformation.engine import Engine
from keyless.local.cloud.cloudformation.finding import Finding
from keyless.local.cloud.cloudformation.flows import Flows
from keyless.local.cloud.cloudformation.reading import Reading
from keyless.local.cloud.cloudformation.store import Store
from keyless.local.cloud.database import Database
from keyless.local.cloud.onbehalf import OnBehalf
from keyless.local.cloud.service import Service


class CloudFormation:
    """Stacks of one account in one region."""

    def __init__(
        self, database: Database, actors: Actors, on_behalf: OnBehalf, *, region: str, now: Callable[[], float]
    ) -> None:
        self.store = Store(database)
        self._actors = actors
        self.engine = Engine(self.store, Flows(database, actors, on_behalf, region), region=region, now=now)

    def service(self) -> Service:
        """The table of CloudFormation."""
        finding = Finding(self.store)
        changing = Changing(self.engine, finding, self._actors)
        return Service(
            "cloudformation",
            operations=(
                *changing.operations(),
                *ChangeSets(self.engine, finding, changing, self._actors).operations(),
                *Reading(self.store, finding).operations(),
            ),
        )
