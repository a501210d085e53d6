"""``templateFrom``: what one item names, and how its rendered values are decoded."""

import pytest

from keyless.shared_secrets.sync.model import TemplateSource, wanted_of
from keyless.shared_secrets.sync.templates import render
from keyless.shared_secrets.sync.values import ValueFault
from unit.shared_secrets.fakes import InlineRenderer, an_external_secret


def a_template(*sources):
    wanted = wanted_of(an_external_secret(target={"template": {"templateFrom": list(sources)}}))
    assert wanted.template is not None
    return wanted.template


@pytest.mark.parametrize(
    ("strategy", "text", "value"),
    [
        ("Base64", "k: {{ .x }}", b"\xff\x00"),
        ("Base64URL", "k: _wA=", b"\xff\x00"),
        ("Auto", "k: {{ .x }}", b"\xff\x00"),
        ("Auto", "k: plain text", b"plain text"),
        ("None", "k: {{ .x }}", b"/wA="),
    ],
)
async def test_rendered_values_are_decoded_as_asked(strategy, text, value):
    template = a_template({"literal": text, "valuesDecodingStrategy": strategy})
    assert (await render(template, {"x": b"/wA="}, {}, InlineRenderer())).data == {"k": value}


async def test_what_cannot_be_decoded_is_named_and_not_shown():
    template = a_template({"literal": "k: {{ .x }}", "valuesDecodingStrategy": "Base64"})
    with pytest.raises(ValueFault, match="valuesDecodingStrategy Base64") as caught:
        await render(template, {"x": b"pl4nted!"}, {}, InlineRenderer())
    assert "pl4nted" not in str(caught.value)


async def test_an_item_that_names_several_is_all_of_them_and_the_literal_comes_last():
    both = {"name": "n", "items": [{"key": "k"}]}
    template = a_template({"configMap": both, "secret": both, "literal": "l: from literal"})
    assert [source.kind for source in template.sources] == ["configMap", "secret", ""]
    texts = {("configMap", "n", "k"): "from map", ("secret", "n", "k"): "from secret"}
    assert (await render(template, {}, texts, InlineRenderer())).data == {"k": b"from secret", "l": b"from literal"}
    assert template.sources[2] == TemplateSource("data", literal="l: from literal")
