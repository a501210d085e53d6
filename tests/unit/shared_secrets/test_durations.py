import pytest

from keyless.shared_secrets.durations import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h0m0s", 3600), ("45s", 45), ("1.5h", 5400), ("300ms", 0.3), ("0", 0), ("-1m", -60), ("1h30m", 5400)],
)
def test_gos_durations_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "1h 2m", "1d", "soon"])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="no duration"):
        seconds_of(text)


def test_what_go_cannot_count_is_no_duration():
    assert seconds_of("2562047h") > 9e9
    with pytest.raises(ValueError, match="more than 292 years"):
        seconds_of("2562048h")
