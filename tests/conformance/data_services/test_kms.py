"""Our answers of kms are moto's, but where the suite says why not."""

from __future__ import annotations

import pytest

from conformance.data_services.kms_suite import SUITE
from conformance.data_services.recording import Scenario
from conformance.data_services.replaying import explanations_must_be_needed, must_agree


@pytest.mark.parametrize("scenario", SUITE.scenarios, ids=lambda one: one.name)
def test_our_answers_agree_with_the_recorded_ones(scenario: Scenario) -> None:
    must_agree(SUITE, scenario)


def test_every_explanation_is_needed() -> None:
    explanations_must_be_needed(SUITE)
