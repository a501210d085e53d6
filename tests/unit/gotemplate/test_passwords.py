import bcrypt
import pytest

from keyless.gotemplate import FUNCTIONS, Limits, TemplateError, parse
from keyless.gotemplate.functions import ABSENT


def render(text, **data):
    return parse(text).render(data)


def test_a_hash_is_of_the_password_and_stays_until_it_changes():
    made = render("{{ htpasswd .u .p }}", u="ada", p="pässword")
    user, _, hashed = made.partition(":")
    assert user == "ada"
    assert bcrypt.checkpw("pässword".encode(), hashed.encode())
    assert render("{{ htpasswd .u .p }}", u="ada", p="pässword") == made
    assert render("{{ htpasswd .u .p }}", u="bob", p="pässword").partition(":")[2] != hashed
    assert hashed.startswith("$2a$10$")


@pytest.mark.parametrize("text", ["{{ htpasswd `a:b` `c` }}", "{{ bcrypt (repeat 73 `a`) }}"])
def test_what_cannot_be_hashed_is_an_error(text):
    with pytest.raises(TemplateError):
        render(text)


def test_hashes_are_paid_for_before_they_are_made():
    with pytest.raises(TemplateError) as caught:
        parse("{{ range 1000000 }}{{ bcrypt `a` }}{{ end }}").render({}, limits=Limits(steps=10_000))
    assert caught.value.limit


def test_no_function_is_both_there_and_left_out_and_each_left_out_names_what_to_do():
    assert not set(FUNCTIONS) & set(ABSENT)
    assert all(len(why) > 25 for why in ABSENT.values())


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_a_function_that_is_left_out_says_why(name):
    with pytest.raises(TemplateError, match="is not available: "):
        parse("{{ " + name + " }}")
