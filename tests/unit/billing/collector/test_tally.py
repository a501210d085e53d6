"""Where every sample is."""

from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.collector.tally import Tally

SEGMENTS = st.integers(0, 3)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("wrote"), SEGMENTS, st.integers(0, 9)),
        st.tuples(st.just("packed"), SEGMENTS, st.integers(0, 20)),
        st.tuples(st.just("acknowledged"), SEGMENTS),
        st.tuples(st.just("unreadable"), SEGMENTS),
    ),
    max_size=30,
)


@effort(100)
@given(ACTS)
def test_what_was_sampled_is_stored_or_waits_or_is_told_as_lost_whatever_happened(acts):
    tally = Tally()
    for name, *words in acts:
        getattr(tally, name)(*words)
        assert tally.sampled == tally.stored + tally.spooled + tally.lost
        assert min(tally.stored, tally.spooled, tally.lost) >= 0


def test_a_segment_of_which_a_part_could_not_be_read_is_stored_and_lost_in_parts():
    tally = Tally()
    tally.wrote(0, 10)
    tally.packed(0, 7)
    assert (tally.stored, tally.spooled, tally.lost) == (0, 10, 0)
    tally.acknowledged(0)
    assert (tally.sampled, tally.stored, tally.spooled, tally.lost) == (10, 7, 0, 3)


def test_a_segment_that_was_not_known_when_the_process_began_counts_once_it_is_stored():
    tally = Tally()
    tally.packed(4, 5)
    tally.acknowledged(4)
    assert (tally.sampled, tally.stored) == (5, 5)
