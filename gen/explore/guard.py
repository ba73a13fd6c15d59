"""What the explorer's server refuses before anything of a request is read: other sites, frames, large bodies."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HEADERS = ((b"x-frame-options", b"DENY"), (b"content-security-policy", b"frame-ancestors 'none'"))
"""Of every answer: no other page shows this one in a frame, where its visitor could be led to click."""


class TooLarge(Exception):
    """A body grew over the limit while it was read."""


class Guard:
    """ASGI middleware.

    A browser names the page that a request comes from (Origin); requests and websockets of other pages are refused. A
    body that is announced as too large is refused unread, one that turns out to be is cut off.

    Attributes:
      app: what is guarded.
      hosts: names under which the page is served.
      most: bytes of a body.
    """

    def __init__(self, app: Callable, hosts: tuple[str, ...], most: int):
        self.app, self.hosts, self.most = app, hosts, most

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        if not self.is_own(headers):
            return await refuse(scope, send, 403, "This page answers requests of its own alone.")
        if scope["type"] == "websocket":
            return await self.app(scope, receive, send)
        if announced(headers) > self.most:
            return await refuse(scope, send, 413, f"At most {self.most / 1e6:.0f} MB.")
        return await self.bounded(scope, receive, send)

    def is_own(self, headers: dict[bytes, bytes]) -> bool:
        """Whether the request comes from a page of this server, or from no page."""
        origin = headers.get(b"origin")
        if origin is None:
            return True
        return urlsplit(origin.decode("latin-1")).netloc == headers.get(b"host", b"").decode("latin-1") and urlsplit(
            origin.decode("latin-1")).hostname in self.hosts

    async def bounded(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serves the request, its answer with `HEADERS`, its body cut off where it is too large."""
        read, began = 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                raise TooLarge
            return message

        async def framed(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            await self.app(scope, counted, framed)
        except TooLarge:
            if not began:
                await refuse(scope, send, 413, f"At most {self.most / 1e6:.0f} MB.")


def announced(headers: dict[bytes, bytes]) -> int:
    """The length of the body that the headers announce, 0 where they do not."""
    text = headers.get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


async def refuse(scope: Message, send: Send, status: int, text: str) -> None:
    """Ends a request or a websocket with a line of text."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close", "code": 1008, "reason": text})
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close"), *HEADERS]})
    await send({"type": "http.response.body", "body": text.encode()})
