"""Which steps of a chain go together, and that one which fails keeps none of the others back."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent, Transient
from keyless.kube.resources import CONFIGMAPS, SECRETS, SERVICEACCOUNTS
from keyless.space.control_planes.controller import all_done, at_once
from keyless.space.control_planes.model import Apply, MakeKeys, Side, Step
from keyless.space.items import item

KINDS = (CONFIGMAPS, SECRETS, SERVICEACCOUNTS)


def write(kind: int, number: int, side: Side) -> Step:
    return Apply(item(KINDS[kind], f"n{number}", "default"), side)


steps = st.lists(
    st.one_of(
        st.builds(write, st.integers(0, 2), st.integers(0, 9), st.sampled_from(("host", "tenant"))),
        st.builds(MakeKeys),
    ),
    max_size=12,
)


@effort(200)
@given(chain=steps)
def test_every_step_is_done_in_its_order_and_only_writes_of_one_kind_at_once(chain: list[Step]) -> None:
    groups = at_once(chain)
    assert [step for group in groups for step in group] == chain
    for group in groups:
        assert (
            len(group) == 1 or len({(each.side, each.item.resource) for each in group if isinstance(each, Apply)}) == 1
        )
        assert len(group) == 1 or all(isinstance(each, Apply) for each in group)


def test_definitions_of_one_kind_do_not_wait_for_each_other() -> None:
    chain = [write(0, 1, "tenant"), write(0, 2, "tenant"), write(0, 3, "host"), write(1, 4, "host")]
    assert [len(group) for group in at_once(chain)] == [2, 1, 1]


def test_one_that_fails_keeps_none_of_the_others_back_and_what_must_be_mended_is_raised() -> None:
    done = []

    async def good(name: str) -> None:
        await asyncio.sleep(0)
        done.append(name)

    async def bad(error: Exception) -> None:
        raise error

    with pytest.raises(Permanent, match="mend"):
        asyncio.run(all_done((bad(Transient("passes")), good("a"), bad(Permanent("mend")), good("b"))))
    assert done == ["a", "b"]
