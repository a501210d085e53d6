"""What the process says and takes, without one."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.gotemplate import TemplateError
from keyless.gotemplate.jobs import Job, Work
from keyless.rendering.frames import answer_from_bytes, framed, made_to_bytes, work_from_bytes, work_to_bytes
from keyless.rendering.process import serve

TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
VALUES = st.dictionaries(TEXT, st.binary(max_size=10), max_size=3)


@given(
    st.builds(
        Work,
        st.lists(st.builds(Job, TEXT, TEXT, st.integers(0, 3), st.booleans(), st.booleans()), max_size=3).map(tuple),
        st.lists(VALUES, max_size=2).map(tuple),
        st.frozensets(TEXT, max_size=2),
    )
)
def test_work_survives_the_way_to_the_process(work):
    assert work_from_bytes(work_to_bytes(work)) == work


@given(st.lists(st.binary(max_size=10) | VALUES, max_size=3))
def test_answers_survive_the_way_back(made):
    assert answer_from_bytes(made_to_bytes(made)) == made


def test_each_question_is_answered_and_a_cut_one_is_the_end():
    source, out = io.BytesIO(), io.BytesIO()
    for text in ("{{ .x }}", "{{ .y }}"):
        source.write(framed(work_to_bytes(Work((Job("a", text),), ({"x": b"1"},)))))
    source.write(b"\0\0")
    source.seek(0)
    serve(source, out, seconds=5)
    out.seek(0)
    answers = []
    while head := out.read(4):
        answers.append(out.read(int.from_bytes(head, "big")))
    assert answer_from_bytes(answers[0]) == [b"1"]
    with pytest.raises(TemplateError, match="'y'"):
        answer_from_bytes(answers[1])


def test_a_fault_of_ours_is_told_by_its_type_alone():
    source, out = io.BytesIO(framed(b'{"planted": 1}')), io.BytesIO()
    serve(source, out, seconds=5)
    assert b"planted" not in out.getvalue()
    assert b"internal fault KeyError" in out.getvalue()
