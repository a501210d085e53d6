"""Everyday interactions, as a real API server answers them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from conformance.kubernetes.asking import Answered, asked
from conformance.kubernetes.interactions import INTERACTIONS, Interaction
from keyless.local.cluster import Cluster, ClusterSettings
from keyless.local.cluster.messages import Request
from keyless.local.cluster.users import SYSTEM

HERE = Path(__file__).parent / "recordings"
RECORDED: dict[str, Any] = json.loads((HERE / "interactions.json").read_text())["answers"]
# What we answer otherwise, and why: docs/reference/kubernetes-differences.md tells the reader.
KNOWN: dict[str, str] = json.loads((HERE / "interactions_differences.json").read_text())


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def settings(database: sqlite3.Connection) -> ClusterSettings:
    return ClusterSettings(
        database=database,
        server_url="https://127.0.0.1:6443",
        admin_token="a",
        kubelet_token="b",
        node_token="c",
        ca_pem="CA",
        now=lambda: datetime(2026, 11, 22, tzinfo=UTC),
    )


@pytest.fixture
async def cluster(settings: ClusterSettings) -> AsyncIterator[Cluster]:
    made = Cluster(settings)
    yield made
    await made.aclose()


async def answers(cluster: Cluster, interaction: Interaction, space: str) -> list[dict[str, Any]]:
    async def ask(method: str, path: str, body: bytes, media: str) -> Answered:
        place, _, query = path.partition("?")
        headers = {"content-type": media, "accept": "application/json"}
        params = dict(parse_qsl(query, keep_blank_values=True))
        reply = await cluster.answer(Request("keyless", method, place, SYSTEM, params, headers, body))
        return Answered(reply.status, (reply.body or b"").decode(), tuple(reply.warnings))

    return await asked(ask, interaction, space)


def test_every_interaction_was_recorded_and_every_difference_is_one_of_them() -> None:
    names = [one.name for one in INTERACTIONS]
    assert len(names) >= 60
    assert sorted(names) == sorted(RECORDED)
    assert KNOWN.keys() <= RECORDED.keys()


@pytest.mark.parametrize("number", range(len(INTERACTIONS)), ids=lambda number: INTERACTIONS[number].name)
async def test_an_interaction_is_answered_as_the_server_answers_it(cluster: Cluster, number: int) -> None:
    interaction = INTERACTIONS[number]
    found = await answers(cluster, interaction, f"space-{number}")
    if interaction.name in KNOWN:
        assert found != RECORDED[interaction.name], "no difference any more: take it off the list"
    else:
        assert found == RECORDED[interaction.name]
