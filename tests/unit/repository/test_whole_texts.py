"""Everything that reads a text of others takes the whole of it, in ASCII: a table, so that a new reader joins it."""

import itertools

import pytest

from keyless.identity.injection import Known, Settings, inject
from keyless.kube.selectors import matches_text
from keyless.local.cloud.wire.scalars import timestamp_from_text
from keyless.local.cluster.builtin.quantity import value
from keyless.local.cluster.controllers.deployment.model import scaled
from keyless.local.cluster.schema.formats import FORMATS
from keyless.policy import readers
from keyless.shared_secrets.durations import seconds_of
from keyless.shared_secrets.stores.model import provider_of
from keyless.tokens.encoding import decode_untrusted


def _role(text):
    account = {"metadata": {"annotations": {"eks.amazonaws.com/role-arn": text}}}
    pod = {"metadata": {}, "spec": {"containers": [{"name": "c"}]}}
    return not inject(pod, account, Known(), Settings(), namespace="ns").warnings


def _region(text):
    provider_of({"provider": {"aws": {"service": "SecretsManager", "region": text}}})
    return True


READERS = {
    "a role's ARN": (_role, "arn:aws:iam::111122223333:role/app"),
    "a region": (_region, "us-west-2"),
    "a duration of Go's": (seconds_of, "1h30m"),
    "a number of a policy": (lambda text: readers.number(text) is not None, "12.5"),
    "a time of a policy": (lambda text: readers.moment(text) is not None, "1500000000"),
    "an address of a policy": (lambda text: readers.network(text) is not None, "10.0.0.0/8"),
    "base64url of a token": (lambda text: decode_untrusted(text) is not None, "YWJj"),
    "a quantity": (lambda text: value(text) is not None, "1500m"),
    "a share": (lambda text: scaled(text + "%", 10, up=True) is not None, "25"),
    "epoch seconds": (lambda text: timestamp_from_text(text) is not None, "1500000000"),
    "a requirement for labels": (lambda text: matches_text(text, {}) is not None, "k in (a)"),
    **{
        f"the format {form}": (FORMATS[form], good)
        for form, good in {
            "datetime": "2026-11-29T01:02:03Z",
            "date": "2026-11-29",
            "duration": "1h30m",
            "hostname": "a.example",
            "isbn10": "0321751043",
            "creditcard": "4111111111111111",
            "ssn": "123-45-6789",
        }.items()
        if form in FORMATS
    },
}
AROUND = ["\n", "\r\n", "\x00", "\u2028", "_", "٣", "\n\n"]


def _takes(reader, text):
    try:
        return bool(reader(text))
    except ValueError:
        return False
    except Exception as refused:
        # Packages have refusals of their own; none of them is an accident of Python's.
        if type(refused).__module__.startswith("keyless."):
            return False
        raise


@pytest.mark.parametrize("name", READERS)
def test_a_text_is_read(name):
    assert _takes(*READERS[name])


# Where white space around a text is passed over by design, as its model does, or what follows may be part of it.
ADMITTED = {("a requirement for labels", piece) for piece in ("\n", "\r\n", "\u2028", "\n\n")} | {("a role's ARN", "_")}


@pytest.mark.parametrize(
    ("name", "piece"), [pair for pair in itertools.product(READERS, AROUND) if pair not in ADMITTED]
)
def test_a_text_with_more_behind_it_is_refused(name, piece):
    reader, good = READERS[name]
    assert not _takes(reader, good + piece)


@pytest.mark.parametrize("name", [name for name, (_, good) in READERS.items() if any(map(str.isdigit, good))])
def test_digits_of_another_script_are_none(name):
    reader, good = READERS[name]
    first = next(at for at, character in enumerate(good) if character.isdigit())
    assert not _takes(reader, good[:first] + chr(0x0660 + int(good[first])) + good[first + 1 :])
