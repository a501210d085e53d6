import asyncio
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from keyless.aws import AwsPermanent, Keys, RoleRequest, Session, by_web_identity, chained
from keyless.serving import bind, serve

ROLE = "arn:aws:iam::111122223333:role/x"
GRANTED = """<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result><Credentials>
<AccessKeyId>{1}</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{0}Result></{0}Response>"""
DENIED = """<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>Not authorized to perform sts:AssumeRoleWithWebIdentity</Message></Error>
<RequestId>r-1</RequestId></ErrorResponse>"""


class FakeSts:
    def __init__(self):
        self.asked, self.denies = [], False

    async def answer(self, request):
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        self.asked.append({**form, "signed_by": request.headers.get("authorization", "")})
        if self.denies:
            return Response(DENIED, 403, media_type="text/xml")
        return Response(GRANTED.format(form["Action"], f"ASIA{len(self.asked)}"), media_type="text/xml")

    @asynccontextmanager
    async def served(self, monkeypatch):
        sock = bind("127.0.0.1", 0)
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{sock.getsockname()[1]}")
        task = asyncio.create_task(serve(Starlette(routes=[Route("/", self.answer, methods=["POST"])]), sock))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])


async def test_a_token_is_exchanged_unsigned_and_the_chain_goes_on_from_it(monkeypatch):
    async with FakeSts().served(monkeypatch) as sts:
        credentials = by_web_identity(lambda: "token", role_arn=ROLE, session_name="name", region="us-west-2")
        session = Session.with_credentials(credentials, region="us-west-2")
        last = RoleRequest(ROLE + "2", "name", external_id="ex", tags=(("a", "b"),), transitive_tag_keys=("a",))
        end = chained(session, [last])
        assert (await end.keys()).access_key_id == "ASIA2"
        assert (await end.keys()).access_key_id == "ASIA2"
    first, second = sts.asked
    assert (first["Action"], first["WebIdentityToken"], first["signed_by"]) == (
        "AssumeRoleWithWebIdentity",
        "token",
        "",
    )
    assert (second["RoleArn"], second["ExternalId"], second["Tags.member.1.Key"]) == (ROLE + "2", "ex", "a")
    assert "Credential=ASIA1/" in second["signed_by"]


async def test_a_refused_token_is_aws_own_word(monkeypatch):
    sts = FakeSts()
    sts.denies = True
    async with sts.served(monkeypatch):
        credentials = by_web_identity(lambda: "token", role_arn=ROLE, session_name="name", region="us-west-2")
        with pytest.raises(AwsPermanent) as caught:
            await Session.with_credentials(credentials, region="us-west-2").keys()
    assert (caught.value.code, caught.value.request_id) == ("AccessDenied", "r-1")
    assert caught.value.operation == "AssumeRoleWithWebIdentity"


async def test_a_chain_of_none_is_its_source():
    source = Session.with_keys(Keys("A", "s"), region="us-west-2")
    assert chained(source, []) is source
