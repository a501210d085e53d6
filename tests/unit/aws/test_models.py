"""Models that are loaded lean say all that botocore's own loader says, but for the documentation."""

from __future__ import annotations

import json
import re
import tracemalloc

import pytest
from botocore.loaders import create_loader

from keyless.aws.models import Later, lean_loader


def without_words(value):
    if isinstance(value, dict):
        return {k: "" if k == "documentation" and isinstance(v, str) else without_words(v) for k, v in value.items()}
    return [without_words(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("service", ["sts", "secretsmanager", "ssm", "s3"])
def test_a_service_model_keeps_everything_but_its_words(service):
    for kind in ("service-2", "endpoint-rule-set-1", "paginators-1"):
        lean = lean_loader().load_service_model(service, kind)
        assert lean == without_words(create_loader().load_service_model(service, kind))
        assert re.search('"documentation": "[^"]', json.dumps(lean)) is None


def test_the_endpoints_of_every_service_are_there_when_asked_for():
    lean, whole = lean_loader().load_data("endpoints"), create_loader().load_data("endpoints")
    for ours, theirs in zip(lean["partitions"], whole["partitions"], strict=True):
        assert dict(ours["services"]) == theirs["services"]
        assert {k: v for k, v in ours.items() if k != "services"} == {
            k: v for k, v in theirs.items() if k != "services"
        }
        assert ours["services"].get("no such service", {}) == {}


def test_a_model_that_is_nowhere_is_unknown_to_both():
    assert lean_loader().list_available_services("service-2") == create_loader().list_available_services("service-2")


def test_values_that_wait_as_texts_take_little_more_than_their_texts():
    values = {f"service{n}": {"endpoints": {"us-east-1": {"hostname": f"host{n}"}}} for n in range(200)}
    tracemalloc.start()
    try:
        later = Later(values)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    # A dict's entry and an object's head are some 150 bytes each.
    assert held < sum(len(json.dumps(later[name])) + 300 for name in later)
