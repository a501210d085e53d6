"""A context goes into a kubeconfig, and whatever was there is there afterwards."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent
from keyless.kube.merging import Entry, document_of, merge_into, merged

ENTRY = Entry(
    "default/ctp1", {"server": "https://a"}, {"exec": {"command": "keyless"}}, {"controlPlane": "default/ctp1"}
)
SECTIONS = ("clusters", "users", "contexts")
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), WORDS, st.sampled_from(["1e5", "2026-01-01", "0x1", "yes", "~"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(WORDS, inner, max_size=2)),
    max_leaves=4,
)
NAMED = st.lists(st.fixed_dictionaries({"name": WORDS.map(lambda word: f"n{word}"), "cluster": VALUES}), max_size=3)
DOCUMENTS = st.dictionaries(st.sampled_from(["preferences", "extensions", "other"]), VALUES, max_size=2).flatmap(
    lambda rest: st.fixed_dictionaries({}, optional=dict.fromkeys(SECTIONS, st.none() | NAMED)).map(
        lambda lists: {**rest, **lists}
    )
)


@effort(60)
@given(document=DOCUMENTS, flow=st.booleans())
def test_nothing_that_was_there_is_lost_or_changed(document: dict[str, Any], flow: bool) -> None:
    text = json.dumps(document) if flow else yaml.safe_dump(document, allow_unicode=True)
    once = merged(text, ENTRY)
    after = yaml.safe_load(once)
    before = yaml.safe_load(text)
    for section in SECTIONS:
        assert after[section][: len(before.get(section) or ())] == (before.get(section) or [])
        assert [each["name"] for each in after[section][len(before.get(section) or ()) :]] == [ENTRY.name]
    assert after["current-context"] == ENTRY.name
    assert {key: value for key, value in after.items() if key in before and key not in SECTIONS} == {
        key: value for key, value in before.items() if key not in SECTIONS
    }
    assert yaml.safe_load(merged(once, ENTRY)) == after


def test_a_scalar_keeps_the_words_that_it_was_written_in() -> None:
    text = "users:\n- name: old\n  user: {token: 1_000, other: 2026-01-01, third: '007', last: 0o17}\n"
    after = merged(text, ENTRY)
    assert "1_000" in after
    assert "2026-01-01" in after
    assert "'007'" in after
    assert "0o17" in after


@pytest.mark.parametrize("section", SECTIONS)
def test_a_name_that_is_anothers_is_not_written_over(section: str) -> None:
    text = yaml.safe_dump({section: [{"name": ENTRY.name, "user": {"token": "kept"}}]})
    with pytest.raises(Permanent, match="--name") as error:
        merged(text, ENTRY)
    assert "kept" not in str(error.value)


def test_the_same_control_plane_of_another_host_is_anothers() -> None:
    other = Entry(ENTRY.name, ENTRY.cluster, ENTRY.user, {**ENTRY.host, "context": "prod"})
    with pytest.raises(Permanent, match="--name"):
        merged(merged("", other), ENTRY)


@pytest.mark.parametrize(
    "text", ["a: [", "- a", "clusters: 7", "users: {}", "contexts: [1]", "users: [{}, word]", "word", "a: 1\n---\nb: 2"]
)
def test_what_is_no_kubeconfig_is_refused_and_not_quoted(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(Permanent, match="expected"):
        merge_into(path, ENTRY)
    assert path.read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["config"]


def test_a_file_is_replaced_as_a_whole_and_its_owners_alone(tmp_path: Path) -> None:
    path, real = tmp_path / "link", tmp_path / "real"
    real.write_text("preferences: {a: b}\n")
    real.chmod(0o644)
    path.symlink_to(real)
    merge_into(path, ENTRY)
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert yaml.safe_load(real.read_text())["preferences"] == {"a": "b"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "real"]


@pytest.mark.parametrize("through", ["itself", "a link"])
def test_what_is_no_regular_file_is_neither_read_nor_replaced(through: str, tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    with pytest.raises(Permanent, match=r"expected a regular file, found .* --print"):
        merge_into(pipe if through == "itself" else link, ENTRY)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_file_that_another_program_is_writing_is_left_to_it(tmp_path: Path) -> None:
    (tmp_path / "config.lock").touch()
    with pytest.raises(Permanent, match=r"config\.lock exists"):
        merge_into(tmp_path / "config", ENTRY)
    assert (tmp_path / "config.lock").exists()
    assert not (tmp_path / "config").exists()


def test_a_new_file_is_a_kubeconfig_of_this_context_alone(tmp_path: Path) -> None:
    merge_into(tmp_path / "new" / "config", ENTRY)
    assert yaml.safe_load((tmp_path / "new" / "config").read_text()) == document_of(ENTRY)
