"""External Secrets' metrics, by their names."""

import pytest
from prometheus_client import CollectorRegistry

from keyless.kube import Event, Name
from keyless.shared_secrets.metrics import ApiCalls, Conditions, Durations


class Following:
    """An informer that is told."""

    def __init__(self):
        self.handlers = []

    def on_change(self, handler):
        self.handlers.append(handler)

    def tell(self, event):
        for handler in self.handlers:
            handler(event)


@pytest.fixture
def told():
    registry, informer = CollectorRegistry(), Following()
    Conditions("pushsecret", informer, registry)
    return registry, informer, Durations("pushsecret", informer, registry)


def obj(**conditions):
    said = [{"type": name, "status": status} for name, status in conditions.items()]
    return {"metadata": {"name": "db", "namespace": "app"}, "status": {"conditions": said}}


def value(registry, status="True", condition="Ready"):
    labels = {"name": "db", "namespace": "app", "condition": condition, "status": status}
    return registry.get_sample_value("pushsecret_status_condition", labels)


def test_a_condition_is_shown_as_the_object_says_it_and_goes_with_it(told):
    registry, informer, _ = told
    informer.tell(Event("ADDED", obj(Ready="True", Authorized="False")))
    assert (value(registry), value(registry, "False"), value(registry, "False", "Authorized")) == (1, 0, 1)
    informer.tell(Event("MODIFIED", obj(Ready="False"), obj(Ready="True", Authorized="False")))
    assert (value(registry), value(registry, "False"), value(registry, "False", "Authorized")) == (0, 1, None)
    informer.tell(Event("DELETED", obj(Ready="False")))
    assert value(registry, "False") is None


async def test_the_time_of_a_run_is_shown_whether_it_failed_or_not(told):
    registry, informer, metrics = told

    async def run(_key):
        raise ValueError

    with pytest.raises(ValueError):
        await metrics.timed(run)(Name("app", "db"))
    labels = {"name": "db", "namespace": "app"}
    assert registry.get_sample_value("pushsecret_reconcile_duration", labels) > 0
    informer.tell(Event("DELETED", obj()))
    assert registry.get_sample_value("pushsecret_reconcile_duration", labels) is None


def test_calls_are_counted_by_provider_operation_and_outcome():
    registry = CollectorRegistry()
    calls = ApiCalls(registry)
    for _ in range(2):
        calls.heard("AWS/SecretsManager", "GetSecretValue", "success")
    labels = {"provider": "AWS/SecretsManager", "call": "GetSecretValue", "status": "success"}
    assert registry.get_sample_value("externalsecret_provider_api_calls_count", labels) == 2
