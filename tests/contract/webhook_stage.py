"""A receiver of webhooks on loopback, and what the webhook tests of several vendors share."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.channels.notices import Notice
from adapters.channels.webhooks import ReceivesWebhooks
from adapters.sandbox.server import serve

SECRET = "whsec_0123456789"
SECRETS = [SecretStr("whsec_the_old_one"), SecretStr(SECRET)]


@dataclass
class Received:
    """`calls`: headers and body of each; `notices`: what the verified ones said."""

    url: str = ""
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    refused: int = 0


@contextmanager
def receiving(webhooks: ReceivesWebhooks) -> Iterator[Received]:
    received = Received()

    async def hook(request: Request) -> Response:
        headers, body = dict(request.headers), await request.body()
        received.calls.append((headers, body))
        greeted = getattr(webhooks, "greets", lambda *_: False)(headers, body)
        if not greeted and not webhooks.verify(headers, body):
            received.refused += 1
            return Response(status_code=401)
        received.notices.extend(webhooks.read(headers, body))
        return Response(status_code=200)

    with serve(Starlette(routes=[Route("/hooks", hook, methods=["POST"])])) as base:
        received.url = f"{base}/hooks"
        yield received
