"""Nothing that came from a provider, nor anything computed from it, is in any message: every way in, every way out."""

import base64
import hashlib
import json
import traceback

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from keyless.api import KeylessError
from keyless.aws import AwsPermanent, AwsTransient
from keyless.aws.errors import Said
from keyless.kube.errors import error_of, failure_status
from keyless.kube.resources import CONFIGMAPS, EVENTS, EXTERNALSECRETS, SECRETS
from keyless.shared_secrets.stores.model import Payload
from keyless.shared_secrets.sync.reading import Read
from keyless.shared_secrets.sync.target import Part
from keyless.shared_secrets.sync.templates import Rendered
from unit.shared_secrets.bench import Bench
from unit.shared_secrets.fakes import PLANTED, a_value, an_external_secret

KEY = "sm4ll.p1anted"
"""Planted as a name: it is a key of a Secret as it stands."""
COMPUTED = {
    made
    for plain in (PLANTED, KEY)
    for made in (
        plain,
        plain.upper(),
        plain[::-1],
        base64.b64encode(plain.encode()).decode().rstrip("="),
        hashlib.sha256(plain.encode()).hexdigest(),
        plain.encode().hex(),
    )
}


def told_by(bench, logs, errors):
    """Everything that anybody may read, the Secrets aside."""
    objects = [bench.kube.stored(res) for res in (EXTERNALSECRETS, EVENTS)]
    statuses = [{**obj, "spec": None} for kind in objects for obj in kind]
    traces = ["".join(traceback.format_exception(error)) + repr(error) for error in errors]
    return json.dumps([statuses, logs, traces, generate_latest(bench.registry).decode()], default=repr)


async def told(bench, obj, *, twice=False):
    errors = []
    with capture_logs() as logs:
        for look in range(2 if twice else 1):
            try:
                await bench.sync(None if look else obj)
            except KeylessError as error:
                errors.append(error)
    return told_by(bench, logs, errors)


def assert_untold(text):
    found = sorted(made for made in COMPUTED if made in text)
    assert found == []


def one(**more):
    return {"data": [a_value("k", "s", **more)]}


def templated(**template):
    return {"data": [a_value("k", "s")], "target": {"template": template}}


def rewrite(**more):
    return {"dataFrom": [{"extract": {"key": "s"}, "rewrite": [more]}]}


EXTRACT = {"dataFrom": [{"extract": {"key": "s"}}]}
MEMBER = json.dumps({KEY: "x", PLANTED: "y"})
PAYLOADS = {
    "no JSON for a property": (PLANTED, one(property="a.b")),
    "broken JSON for a property": (f'{{"a": {PLANTED}', one(property="a")),
    "a property that is not there": (MEMBER, one(property="absent")),
    "no JSON to extract": (PLANTED, EXTRACT),
    "broken JSON to extract": (f'{{"{KEY}": {PLANTED}}}', EXTRACT),
    "a list to extract": (f'["{PLANTED}"]', EXTRACT),
    "a text to extract": (json.dumps(PLANTED), EXTRACT),
    "a duplicate member": (f'{{"{KEY}": "{PLANTED}", "{KEY}": {PLANTED}}}', EXTRACT),
    "no Base64": (PLANTED + "!", one(decodingStrategy="Base64")),
    "no Base64URL": (PLANTED + "+/", one(decodingStrategy="Base64URL")),
    "a member that is no Base64": (
        json.dumps({KEY: PLANTED + "!"}),
        {"dataFrom": [{"extract": {"key": "s", "decodingStrategy": "Base64"}}]},
    ),
    "a null byte": (PLANTED + "\0", one(nullBytePolicy="Fail")),
    "a member with a null byte": (
        json.dumps({KEY: PLANTED + "\0"}),
        {"dataFrom": [{"extract": {"key": "s", "nullBytePolicy": "Fail"}}]},
    ),
    "bytes that are no text": (PLANTED.encode() + b"\xff", one(property="a")),
    "members that become one key": (json.dumps({f"{PLANTED}/": "1", f"{PLANTED}_": "2"}), EXTRACT),
    "a member that is no key": (json.dumps({f"{PLANTED} {KEY}": "1"}), rewrite(regexp={"source": "zzz", "target": ""})),
    "a member that is too long": (json.dumps({PLANTED * 40: "1"}), EXTRACT),
    "a rewrite that makes no key": (MEMBER, rewrite(transform={"template": "{{ .value | upper }} !"})),
    "a rewrite that fails on a name": (MEMBER, rewrite(transform={"template": "{{ .value.x }}"})),
    "a rewrite that decodes a name": (MEMBER, rewrite(transform={"template": "{{ fromJson .value }}"})),
    "more than a Secret holds": (PLANTED * 100_000, one()),
    "a member that is synced": (MEMBER, EXTRACT),
}


@pytest.mark.parametrize("name", PAYLOADS)
async def test_a_payload_is_not_told(name):
    payload, spec = PAYLOADS[name]
    bench = Bench(secrets={"s": payload})
    assert_untold(await told(bench, an_external_secret(**spec), twice=True))


DOCKER = "kubernetes.io/dockerconfigjson"
MAP = [{"key": "map", "templateAs": "KeysAndValues"}]
TEMPLATES = {
    f"{place} {what}": template
    for what, text in {
        "a field of a text": "{{ .k.x }}",
        "a function without such an argument": "{{ index .k 1 2 }}",
        "no Base64": "{{ b64dec .k }}",
        "no JSON": "{{ .k | fromJson }}",
        "no YAML": '{{ printf "a: [%s" .k | fromYaml }}',
        "a known name": '{{ (dict .k "x").missing }}',
        "a name looked for": "{{ (dict).k }}{{ index (dict) .k 1 }}",
        "failing with it": "{{ fail .k }}",
        "requiring it": '{{ required .k "" }}',
        "a pattern": "{{ mustRegexMatch .k .k }}{{ regexMatch (printf \"(%s\" .k) .k }}",
        "a format": "{{ printf .k 1 }}{{ .k | atoi | mod 1 }}",
        "a number": "{{ div 1 (int .k) }}",
        "a date": '{{ mustToDate "2006" .k }}',
        "a range": "{{ range .k }}{{ end }}",
        "a certificate": "{{ .k | filterPEM \"X\" }}{{ .k | pkcs12cert }}",
        "a key": "{{ .k | jwkPublicKeyPem }}",
        "a computed text": "{{ (dict (.k | upper) (.k | sha256sum)).missing }}",
    }.items()
    for place, template in {
        "data:": {"data": {"a": text}},
        "label:": {"metadata": {"labels": {"a": text}}},
        "annotation:": {"metadata": {"annotations": {"a": text}}},
        "literal:": {"templateFrom": [{"literal": text}]},
    }.items()
} | {
    "a key that is none": {"templateFrom": [{"literal": '{{ printf "%s !" .k }}: x'}]},
    "a key of two words": {"templateFrom": [{"literal": "{{ .k | upper }} {{ .k }}: x"}]},
    "a label that is none": {"templateFrom": [{"target": "Labels", "literal": "{{ .k }} {{ .k }}: x"}]},
    "a label whose value is none": {"metadata": {"labels": {"a": "{{ .k }} {{ .k }}"}}},
    "a made label whose value is none": {"templateFrom": [{"target": "Labels", "literal": "{{ .k }}: '{{ .k }} !'"}]},
    "an annotation that is none": {"templateFrom": [{"target": "Annotations", "literal": "{{ .k }} {{ .k }}: x"}]},
    "annotations without end": {"metadata": {"annotations": {"a": "{{ repeat 30000 .k }}"}}},
    "no map": {"templateFrom": [{"literal": "{{ .k }}"}]},
    "a map of maps": {"templateFrom": [{"literal": "{{ .k }}: {a: {{ .k }}}"}]},
    "broken YAML": {"templateFrom": [{"literal": "{{ .k }}: ["}]},
    "a type's key that is missing": {"type": DOCKER, "data": {"a": "{{ .k }}"}},
    "a type's key that is no JSON": {"type": DOCKER, "data": {".dockerconfigjson": "{{ .k }}"}},
    "more than a Secret holds": {"data": {"a": "{{ repeat 90000 .k }}"}},
    "a Secret's text that is no template": {"templateFrom": [{"secret": {"name": "t", "items": [{"key": "broken"}]}}]},
    "a Secret's text of unknown words": {"templateFrom": [{"secret": {"name": "t", "items": [{"key": "word"}]}}]},
    "a Secret's text as map": {"templateFrom": [{"secret": {"name": "t", "items": MAP}}]},
    "a ConfigMap's text": {"templateFrom": [{"configMap": {"name": "t", "items": MAP}}]},
}  # fmt: skip


@pytest.mark.parametrize("name", TEMPLATES)
async def test_what_a_template_makes_is_not_told(name):
    bench = Bench(secrets={"s": PLANTED})
    held = {
        "broken": f"{{{{ {PLANTED}",
        "word": f"{{{{ {KEY.replace('.', '')} }}}}",
        "map": "{{ .k }} {{ .k }}: [{{ .k }}",
    }
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in held.items()}
    bench.kube.put(SECRETS, {"metadata": {"name": "t", "namespace": "app"}, "data": encoded})
    bench.kube.put(CONFIGMAPS, {"metadata": {"name": "t", "namespace": "app"}, "data": {"map": held["map"]}})
    assert_untold(await told(bench, an_external_secret(**templated(**TEMPLATES[name])), twice=True))


async def test_tags_and_versions_are_not_told():
    bench = Bench(secrets={"s": "x"})
    bench.aws.DescribeSecret = lambda **_: {
        "Tags": [{"Key": PLANTED + " !", "Value": KEY}, {"Key": KEY, "Value": PLANTED}]
    }
    bench.aws.GetSecretValue = lambda **_: {"SecretString": "[", "VersionId": PLANTED, "Name": KEY, "ARN": PLANTED}
    spec = {"dataFrom": [{"extract": {"key": "s", "metadataPolicy": "Fetch"}}, {"extract": {"key": "s"}}]}
    assert_untold(await told(bench, an_external_secret(**spec), twice=True))


AWS_WORDS = (
    PLANTED,
    f"cannot decrypt {PLANTED}",
    f"User: arn:aws:iam::1:role/x is not authorized to perform: a:b because {PLANTED}",
    f"User: arn:aws:iam::1:role/x is not authorized to perform: a:b because no identity-based policy allows it: {KEY}",
    f"Secrets Manager can't find the specified secret. {PLANTED}",
    f"1 validation error detected: Value '{PLANTED}' at 'secretId' failed to satisfy constraint",
    f"Rate exceeded\n{PLANTED}",
)
CODES = [
    "AccessDeniedException",
    "ResourceNotFoundException",
    "ParameterNotFound",
    "ValidationException",
    "InvalidRequestException",
    "InvalidParameterException",
    "DecryptionFailure",
    "ThrottlingException",
    "ExpiredTokenException",
    "InternalServiceError",
    "Odd",
]


@pytest.mark.parametrize("kind", [AwsPermanent, AwsTransient])
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("deletion", ["Retain", "Delete", "Merge"])
async def test_a_provider_that_quotes_is_not_repeated(kind, code, deletion):
    for words in AWS_WORDS:
        bench = Bench(secrets={"s": "x"})

        def quote(words=words, **_):
            raise kind(Said("GetSecretValue", code, words, "r-1"))

        bench.aws.GetSecretValue = bench.aws.DescribeSecret = quote
        spec = {**one(), "target": {"deletionPolicy": deletion}}
        assert_untold(await told(bench, an_external_secret(**spec)))
        assert_untold(json.dumps(bench.heard))


KUBERNETES = {
    "a message": {"message": PLANTED},
    "a reason": {"reason": KEY.replace(".", "") + PLANTED},
    "a cause's field": {"details": {"causes": [{"field": f"data[{KEY}]", "reason": "FieldValueInvalid"}]}},
    "a cause's odd field": {"details": {"causes": [{"field": PLANTED, "reason": "FieldValueInvalid"}]}},
    "a cause's reason": {"details": {"causes": [{"field": "data", "reason": PLANTED}]}},
    "a cause's message": {"details": {"causes": [{"field": "data", "message": PLANTED}]}},
    "a name": {"details": {"name": PLANTED, "kind": KEY}},
    "causes of no form": {"details": {"causes": [PLANTED, None, [KEY]]}},
    "details of no form": {"details": PLANTED},
}
REQUESTS = {
    "creating the Secret": ("POST", "/secrets"),
    "replacing the Secret": ("PUT", "/secrets"),
    "deleting a Secret": ("DELETE", "/secrets"),
    "reading the Secret": ("GET", "/secrets"),
    "reading a template": ("GET", "/configmaps"),
    "writing the status": ("PATCH", "/externalsecrets"),
    "reading the object": ("GET", "/externalsecrets"),
    "recording an event": ("POST", "/events"),
}


@pytest.mark.parametrize("code", [400, 403, 404, 409, 422, 500, 503])
@pytest.mark.parametrize("request_name", REQUESTS)
async def test_kubernetes_that_quotes_is_not_repeated(code, request_name):
    method, part = REQUESTS[request_name]
    for more in KUBERNETES.values():
        bench = Bench(secrets={"s": "x"})
        bench.kube.put(CONFIGMAPS, {"metadata": {"name": "t", "namespace": "app"}, "data": {"u": "{{ .k }}"}})
        template = {"templateFrom": [{"configMap": {"name": "t", "items": [{"key": "u"}]}}]}
        await bench.sync(an_external_secret(**templated(**template)))
        if request_name == "creating the Secret":
            await bench.kube.delete(SECRETS, "db", "app")
        bench.aws.secrets["s"] = "y"
        target = {"name": "new"} if request_name == "deleting a Secret" else {}
        await bench.change({"metadata": {"annotations": {"force": "1"}}, "spec": {"target": target}})

        def refuse(request, more=more):
            if request.method == method and part in request.path:
                raise error_of({**failure_status(code, "Invalid", PLANTED), **more})

        bench.kube.before = refuse
        errors = []
        with capture_logs() as logs:
            try:
                await bench.sync()
            except KeylessError as error:
                errors.append(error)
        assert errors or request_name == "recording an event" or code == 404
        assert_untold(told_by(bench, logs, errors))


@pytest.mark.parametrize("error", [RuntimeError, ValueError, KeyError, UnicodeDecodeError, OSError, RecursionError])
async def test_a_fault_of_ours_is_told_by_its_place(error):
    bench = Bench(secrets={"s": "x"})

    def broken(*_, **__):
        raise error(*(("utf-8", PLANTED.encode(), 0, 1, KEY) if error is UnicodeDecodeError else (PLANTED, KEY)))

    bench.aws.GetSecretValue = broken
    assert_untold(await told(bench, an_external_secret(**one())))


async def test_what_is_read_and_written_hides_itself():
    value = {KEY: PLANTED.encode()}
    shown = [
        Payload(PLANTED, PLANTED.encode()),
        Read(value, ()),
        Part(value, {KEY: PLANTED}, {KEY: PLANTED}),
        Rendered(value, {KEY: PLANTED}, {KEY: PLANTED}),
    ]
    assert_untold(repr(shown))
