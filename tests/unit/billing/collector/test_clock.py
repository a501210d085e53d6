"""The time of samples never jumps but where S3 says so."""

from __future__ import annotations

import pytest

from keyless.billing.collector.clock import Clock
from unit.billing.samples import NOON, seconds


class Machine:
    def __init__(self, error=0.0):
        self.passed = 0.0
        self.error = error

    def wall(self):
        return NOON + seconds(self.passed + self.error)

    def ticks(self):
        return 500.0 + self.passed

    def clock(self):
        return Clock(self.wall, self.ticks)

    def truth(self):
        return NOON + seconds(self.passed)


@pytest.mark.parametrize("jump", [-86400, -3600, -90, -3, 3, 90, 3600, 86400])
def test_a_jump_of_the_machines_clock_moves_no_sample_and_is_noted(jump):
    machine = Machine()
    clock = machine.clock()
    clock.state()
    machine.passed += 600
    machine.error = jump
    clock.check()
    assert clock.now() == machine.truth()
    (noted,) = clock.news().jumps
    assert (noted.at, noted.by) == (machine.truth(), seconds(jump))
    clock.check()
    assert clock.news() is None, "noted once"


@pytest.mark.parametrize("error", [-86400, -3600, -90, 90, 3600])
def test_s3s_date_corrects_a_clock_that_was_wrong_from_the_start(error):
    machine = Machine(error)
    clock = machine.clock()
    clock.check()
    assert clock.offset is None
    clock.learn(machine.truth(), clock.read_ticks())
    assert abs(clock.now() - machine.truth()) <= seconds(0.5)
    assert abs(clock.offset + seconds(error)) <= seconds(0.5)
    assert [round(jump.by.total_seconds()) for jump in clock.news().jumps] == [-error] or error in {-90, 90}


@pytest.mark.parametrize("error", [-1.4, -1, 0, 1, 2.4])
def test_a_date_that_differs_by_what_its_form_loses_changes_nothing(error):
    machine = Machine(error)
    clock = machine.clock()
    clock.learn(machine.truth(), clock.read_ticks())
    assert clock.now() == machine.wall()
    assert clock.state().jumps == ()


def test_an_answer_that_was_long_on_its_way_counts_for_when_it_came():
    machine = Machine()
    clock = machine.clock()
    date, read_at = machine.truth(), clock.read_ticks()
    machine.passed += 500
    clock.learn(date, read_at)
    assert clock.now() == machine.truth()


def test_after_a_jump_the_offset_is_unknown_until_s3_tells_it_again():
    machine = Machine()
    clock = machine.clock()
    clock.learn(machine.truth(), clock.read_ticks())
    machine.error = 3600
    clock.check()
    assert clock.offset is None
    clock.learn(machine.truth(), clock.read_ticks())
    assert round(clock.offset.total_seconds()) in {-3600, -3599}
    assert clock.now() == machine.truth()
