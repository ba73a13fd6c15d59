"""The explorer's server: foreign pages, frames and large bodies are refused before they are read."""

import asyncio

import pytest

from gen.explore.guard import Guard

HOSTS, MOST = ("127.0.0.1", "localhost"), 1_000


async def app(scope, receive, send):
    """Reads the whole body and answers with its length."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.accept"})
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


def answer(kind="http", bodies=(), **headers):
    """(the messages that are sent, how many parts of the body were read)."""
    sent, left = [], list(bodies)

    async def receive():
        part = left.pop(0) if left else b""
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "headers": [(name.replace("_", "-").encode(), value.encode())
                                       for name, value in ({"host": "127.0.0.1:8080"} | headers).items()]}
    asyncio.run(Guard(app, HOSTS, MOST)(scope, receive, send))
    return sent, len(bodies) - len(left)


def test_a_request_of_the_page_itself_is_served_and_not_framed():
    by_name = {"origin": "http://localhost:8080", "host": "localhost:8080"}
    for headers in ({}, {"origin": "http://127.0.0.1:8080"}, by_name):
        sent, _ = answer(bodies=[b"a" * 400, b"b" * 500], **headers)
        assert sent[0]["status"] == 200 and sent[1]["body"] == b"900"
        assert (b"x-frame-options", b"DENY") in sent[0]["headers"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1.evil:8080"])
def test_requests_and_websockets_of_other_pages_are_refused(origin):
    sent, read = answer(bodies=[b"a"], origin=origin)
    assert sent[0]["status"] == 403 and read == 0
    sent, _ = answer("websocket", origin=origin)
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_a_name_that_was_made_to_lead_here_is_refused():
    """Of another host whose address was changed to this machine's, origin and host agree."""
    sent, _ = answer(host="evil.example:8080", origin="http://evil.example:8080")
    assert sent[0]["status"] == 403


def test_an_announced_body_is_refused_unread_and_another_cut_off():
    sent, read = answer(bodies=[b"a" * 600] * 4, content_length="2400")
    assert sent[0]["status"] == 413 and read == 0
    sent, read = answer(bodies=[b"a" * 600] * 400)
    assert sent[0]["status"] == 413 and read == 2
