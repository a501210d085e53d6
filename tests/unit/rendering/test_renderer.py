"""The renderer with real processes, which start in a fraction of a second; each test that asks one says why."""

import asyncio
import time

import pytest

from keyless.gotemplate import TemplateError
from keyless.gotemplate.jobs import Job, Work
from keyless.rendering import Renderer, RendererBusy, RenderLimits

# A regular expression over a long text, tried anew at each of its characters: one step that takes minutes.
ENDLESS = Job("endless", "{{ regexReplaceAll `(a.*z)|a` .long `b` | len }}")
DATA = ({"user": b"ada", "long": b"a" * 500_000},)


def asking(*jobs):
    return Work(jobs, DATA)


async def test_work_comes_back_rendered_byte_for_byte():
    renderer = Renderer()
    try:
        made = await renderer.render(
            Work(
                (
                    Job("a", "{{ .x | upper }}"),
                    Job("b", "k: {{ .x | quote }}", keys_and_values=True),
                    Job("c", "{{.y}}", 1),
                ),
                ({"x": b"ada"}, {"y": bytes(range(256))}),
            )
        )
        assert made == [b"ADA", {"k": b"ada"}, bytes(range(256))]
    finally:
        await renderer.aclose()


async def test_an_error_comes_back_with_its_line_and_its_limit():
    renderer = Renderer()
    try:
        with pytest.raises(TemplateError, match="line 2: map has no entry for key 'usr'; did you mean"):
            await renderer.render(Work((Job("a", "\n{{ .usr }}"),), ({"us-r": b"x"},), frozenset({"us-r"})))
        with pytest.raises(TemplateError, match="more than 200000 steps") as caught:
            await renderer.render(asking(Job("a", "{{ range 1000000 }}{{ end }}")))
        assert caught.value.limit
    finally:
        await renderer.aclose()


async def test_a_template_that_never_ends_is_ended_and_remembered_and_nobody_else_waits():
    renderer = Renderer(RenderLimits(quick_seconds=0.2, patient_seconds=0.4))
    try:
        await renderer.render(asking(Job("warm", "x")))
        endless = asyncio.create_task(renderer.render(asking(ENDLESS)))
        await asyncio.sleep(0)
        made = await asyncio.gather(*(renderer.render(asking(Job("a", f"{{{{ .user }}}}{n}"))) for n in range(20)))
        assert made[3] == [b"ada3"]
        with pytest.raises(TemplateError, match=r"longer than 0\.4 seconds") as caught:
            await endless
        assert caught.value.limit
        began = time.perf_counter()
        with pytest.raises(TemplateError, match="endless"):
            await renderer.render(asking(ENDLESS))
        assert time.perf_counter() - began < 0.4  # tried once more it would take both times: six tenths
        assert await renderer.render(asking(Job("a", "still here"))) == [b"still here"]
    finally:
        await renderer.aclose()


async def test_two_that_never_end_do_not_queue_up():
    renderer = Renderer(RenderLimits(quick_seconds=0.1, patient_seconds=0.6))
    try:
        other = Job("other", ENDLESS.text + " ")
        asked = [asyncio.create_task(renderer.render(asking(job))) for job in (ENDLESS, other)]
        faults = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(fault) for fault in faults} == {TemplateError, RendererBusy}
    finally:
        await renderer.aclose()


async def test_a_question_nobody_waits_for_leaves_nothing_for_the_next():
    renderer = Renderer()
    try:
        await renderer.render(asking(Job("warm", "x")))
        asked = asyncio.create_task(renderer.render(asking(ENDLESS)))
        await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert await renderer.render(asking(Job("a", "mine"))) == [b"mine"]
    finally:
        await renderer.aclose()


async def test_the_process_goes_when_there_is_nothing_to_do_and_comes_back():
    renderer = Renderer(RenderLimits(idle_seconds=0.0))
    try:
        assert await renderer.render(asking(Job("a", "one"))) == [b"one"]
        idle = renderer._quick._idle
        await idle
        assert renderer._quick._child is None
        assert await renderer.render(asking(Job("a", "two"))) == [b"two"]
    finally:
        await renderer.aclose()


async def test_nothing_to_render_starts_no_process():
    renderer = Renderer()
    assert await renderer.render(Work((), ())) == []
    assert renderer._quick._child is None
    await renderer.aclose()


async def test_the_process_has_neither_the_environment_nor_more_memory_than_it_may(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    renderer = Renderer(RenderLimits(address_space_bytes=200 << 20))
    try:
        await renderer.render(asking(Job("a", "x")))
        pid = renderer._quick._child._process.pid
        with open(f"/proc/{pid}/environ", "rb") as file:
            assert file.read() == b""
        with open(f"/proc/{pid}/limits") as file:
            assert any(line.startswith("Max address space") and str(200 << 20) in line for line in file)
    finally:
        await renderer.aclose()


async def test_a_process_that_cannot_start_is_tried_again_later(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    renderer = Renderer()
    try:
        with pytest.raises(RendererBusy, match="did not start"):
            await renderer.render(asking(Job("a", "x")))
    finally:
        await renderer.aclose()
