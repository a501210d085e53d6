import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import crds
from keyless.shared_secrets.durations import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h0m0s", 3600), ("45s", 45), ("1.5h", 5400), ("300ms", 0.3), ("0", 0), ("-1m", -60), ("1h30m", 5400)],
)
def test_gos_durations_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1h 2m", "1d", "soon", "--1h", "+-1h", " 1h", "1h\n", "\u0661h", "1.2.3s", "."]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="no duration"):
        seconds_of(text)


def test_what_go_cannot_count_is_no_duration():
    assert seconds_of("2562047h") > 9e9
    with pytest.raises(ValueError, match="more than 292 years"):
        seconds_of("2562048h")


@effort(200)
@given(st.text(st.sampled_from("019.+-hmsnuµμ d\n\u0661"), max_size=8))
def test_what_the_definitions_admit_is_what_is_read(text):
    spec = crds.load("externalsecrets.external-secrets.io")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    (rule,) = spec["properties"]["spec"]["properties"]["refreshInterval"]["x-kubernetes-validations"]
    # RE2's $ is the very end of the text, Python's is not.
    pattern = rule["rule"].removeprefix("self.matches('^").removesuffix("$')")
    try:
        seconds_of(text)
        is_read = True
    except ValueError as error:
        is_read = "292 years" in str(error)
    assert bool(re.fullmatch(pattern, text)) is is_read
