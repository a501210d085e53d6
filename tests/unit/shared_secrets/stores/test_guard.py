"""What failed is remembered for all who ask, and forgotten for all when it is over."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.api import Permanent, Transient
from keyless.shared_secrets.stores.guard import CAP_SECONDS, KEPT_BYTES, ReadGuard
from keyless.shared_secrets.stores.model import Payload, RemoteRef

BUSY, DENIED = Transient("busy"), Permanent("denied")


@dataclass
class FakeReader:
    identity: str = "pod"
    by_controller: bool = True
    fault: Exception | None = None
    asked: list = field(default_factory=list)

    async def read(self, ref):
        self.asked.append(ref.key)
        if self.fault:
            raise self.fault
        return Payload(text="x")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


async def fails(guard, reader, key="a", *, fresh=False):
    with pytest.raises(type(reader.fault)):
        await guard.read(reader, RemoteRef(key), fresh=fresh)
    return guard.wait_seconds(reader, RemoteRef(key))


@pytest.mark.parametrize("newcomers", [1, 30, 1000])
async def test_many_that_ask_at_once_make_no_wait_longer(newcomers):
    guard, reader = ReadGuard(Clock()), FakeReader(fault=BUSY)
    waits = {await fails(guard, reader, fresh=True) for _ in range(newcomers)}
    assert (waits, reader.asked) == ({1.0}, ["a"])


@pytest.mark.parametrize(
    ("fault", "later", "asked"), [(BUSY, 0.0, 1), (BUSY, 0.9, 1), (BUSY, 1.0, 2), (DENIED, 0.0, 2), (DENIED, 0.9, 2)]
)
async def test_a_person_is_answered_from_memory_only_while_aws_was_busy_a_moment_ago(fault, later, asked):
    clock = Clock()
    guard, reader = ReadGuard(clock), FakeReader(fault=fault)
    await fails(guard, reader)
    clock.now += later
    await fails(guard, reader, fresh=True)
    assert len(reader.asked) == asked


@given(st.integers(1, 20))
async def test_a_fault_that_lasts_is_asked_about_ever_less(times):
    clock = Clock()
    guard, reader = ReadGuard(clock), FakeReader(fault=BUSY)
    waits = []
    for _ in range(times):
        waits.append(await fails(guard, reader))
        clock.now += waits[-1]
    assert waits == [min(CAP_SECONDS, 2.0**number) for number in range(times)]
    assert len(reader.asked) == times


async def test_who_is_answered_from_memory_is_told_how_long_it_is_kept():
    clock = Clock()
    guard, reader = ReadGuard(clock), FakeReader(fault=DENIED)
    await fails(guard, reader)
    clock.now += 0.25
    assert await fails(guard, reader) == 0.75
    assert reader.asked == ["a"]


@pytest.mark.parametrize(
    ("first", "second", "identity", "forgiven"),
    [
        (BUSY, BUSY, "pod", True),
        (BUSY, BUSY, "another", False),
        (BUSY, DENIED, "pod", False),
        (DENIED, BUSY, "pod", False),
    ],
)
async def test_an_aws_that_answers_again_is_asked_for_all_that_it_was_too_busy_for(first, second, identity, forgiven):
    clock, heard = Clock(), []
    guard = ReadGuard(clock, lambda: heard.append(1))
    reader, other = FakeReader(fault=first), FakeReader(identity=identity, fault=second)
    await fails(guard, reader)
    for _ in range(3):
        await fails(guard, other, "b")
        clock.now += guard.wait_seconds(other, RemoteRef("b"))
    await fails(guard, other, "b")
    reader.fault = None
    await guard.read(reader, RemoteRef("a"))
    assert bool(heard) == isinstance(first, Transient)
    assert (guard.wait_seconds(other, RemoteRef("b")) is None) == forgiven


@pytest.mark.parametrize(("age", "later", "calls"), [(5, 4.9, 1), (5, 5, 2), (0, 0, 2), (1000, 59, 1), (1000, 60, 2)])
async def test_a_value_is_shared_as_long_as_the_reader_takes_one_of_its_age(age, later, calls):
    clock = Clock()
    guard, reader = ReadGuard(clock), FakeReader()
    await guard.read(reader, RemoteRef("a"))
    clock.now += later
    await guard.read(reader, RemoteRef("a"), most_age_seconds=age)
    assert len(reader.asked) == calls


async def test_two_hundred_that_begin_one_after_the_other_are_one_call():
    guard, reader = ReadGuard(Clock()), FakeReader()
    for _ in range(200):
        await guard.read(reader, RemoteRef("a"), fresh=True, most_age_seconds=5)
    assert reader.asked == ["a"]


async def test_a_value_is_never_shared_between_identities_nor_after_a_failure():
    guard, one, other = ReadGuard(Clock()), FakeReader(), FakeReader(identity="another")
    await guard.read(one, RemoteRef("a"), most_age_seconds=60)
    await guard.read(other, RemoteRef("a"), most_age_seconds=60)
    assert (len(one.asked), len(other.asked)) == (1, 1)
    one.fault = DENIED
    with pytest.raises(Permanent):
        await guard.read(one, RemoteRef("a"))
    with pytest.raises(Permanent):
        await guard.read(one, RemoteRef("a"), most_age_seconds=60)


async def test_values_that_are_kept_are_bounded():
    class Large(FakeReader):
        async def read(self, ref):
            self.asked.append(ref.key)
            return Payload(text="x" * (64 << 10))

    guard, reader = ReadGuard(Clock()), Large()
    for number in range(100):
        await guard.read(reader, RemoteRef(f"{number}"))
    assert guard._kept_bytes <= KEPT_BYTES
    assert guard._kept_bytes == sum(kept.size for kept in guard._kept.values())
