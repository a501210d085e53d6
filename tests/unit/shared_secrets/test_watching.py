"""Which change asks for which work, and which of it may wait."""

import pytest

from keyless.kube import Event, Name
from keyless.shared_secrets.watching import Targets, on_owned, on_target


class Following:
    """An informer that is told."""

    def __init__(self):
        self.handlers = []

    def on_change(self, handler):
        self.handlers.append(handler)

    def tell(self, kind, obj):
        for handler in self.handlers:
            handler(Event(kind, obj))


@pytest.mark.parametrize(("kind", "urgent"), [("ADDED", False), ("MODIFIED", True), ("DELETED", True)])
def test_a_secret_that_was_just_made_keeps_no_new_object_waiting_and_a_repair_does_not_wait(kind, urgent):
    external, secrets, asked = Following(), Following(), []
    targets = Targets(external)
    external.tell("ADDED", {"metadata": {"name": "db", "namespace": "app"}, "spec": {}})

    def enqueue(key, /, *, urgent=True):
        asked.append((key, urgent))

    on_target(secrets, targets, enqueue)
    on_owned(secrets, "ExternalSecret", enqueue)
    owner = {"kind": "ExternalSecret", "name": "db"}
    secrets.tell(kind, {"metadata": {"name": "db", "namespace": "app", "ownerReferences": [owner]}})
    assert asked == [(Name("app", "db"), urgent)] * 2
