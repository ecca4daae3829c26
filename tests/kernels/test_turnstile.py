"""Connections that are read without the interpreter."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import plain_requests

from shortlist.kernels.turnstile import AVAILABLE, Turnstile, plain_request_id

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="there is no epoll")

FIRST = b"POST /v1/recommend HTTP/1.1\r\n"
PLAIN = FIRST + b"Host: x\r\nContent-Length: 2\r\n\r\n{}"
NAMED = FIRST + b"Content-Length: 2\r\nX-Request-Id: abc-1\r\n\r\n{}"

headers = st.sampled_from(
    [
        b"Host: x",
        b"content-length: 2",
        b"Content-Length:2",
        b"Content-Length: 02",
        b"Content-Length: 3",
        b"Content-Length: +2",
        b"Content-Length : 2",
        b"Content-Length: 99999999999999999999",
        b"Transfer-Encoding: chunked",
        b"Expect: 100-continue",
        b"Upgrade: h2c",
        b"Connection: Keep-Alive",
        b"Connection: close",
        b"X-Request-ID: a.b_c-D",
        b"X-Request-ID: a b",
        b"X-Request-ID:",
        b"X-Request-ID: " + b"a" * 65,
        b" folded: yes",
        b"no colon",
        b"tab:\tx",
        b"bare: \n",
        b"\xff: x",
        b"name: \xff",
        b"",
    ]
)
requests = st.builds(
    lambda lines, body: FIRST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body,
    st.lists(headers, max_size=5),
    st.sampled_from([b"{}", b"", b"{} ", b"{}" + PLAIN]),
)


@given(
    st.one_of(requests, st.binary(max_size=60), st.binary(max_size=40).map(lambda more: PLAIN[:50] + more))
)
def test_only_what_the_reference_takes_for_plain_is_plain(content: bytes):
    assert plain_request_id(content, FIRST) == plain_requests.plain_request_id(content, FIRST)


@given(st.integers(0, len(NAMED)), st.integers(0, 255))
def test_a_changed_byte_is_judged_as_the_reference_judges_it(place: int, byte: int):
    content = NAMED[:place] + bytes([byte]) + NAMED[place + 1 :]
    assert plain_request_id(content, FIRST) == plain_requests.plain_request_id(content, FIRST)
    assert plain_request_id(NAMED[:place], FIRST) is None or place == len(NAMED)


@pytest.fixture
def turnstile() -> Turnstile:
    return Turnstile(FIRST, b"x-request-id: ", b"\r\n\r\n<", b">", 2)


@pytest.fixture
def pairs() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """A few connections: the client's end and the server's."""
    made = [socket.socketpair() for _ in range(4)]
    yield made
    for each in (end for pair in made for end in pair):
        each.close()


def test_a_request_is_refused_by_its_name(turnstile: Turnstile, pairs):
    client, server = pairs[0]
    turnstile.add(server.fileno())
    for _ in range(2):
        client.sendall(NAMED)
        assert select.select([turnstile], [], [], 1)[0]
        assert turnstile.turn(0, 8, b"date: now\r\n") == (1, [])
        answer = b"HTTP/1.1 503 Service Unavailable\r\ndate: now\r\ncontent-length: 7\r\n"
        assert client.recv(1000) == answer + b"x-request-id: abc-1\r\n\r\n<abc-1>"
    assert turnstile.turn(0, 8, b"") == (0, [])


def test_requests_without_a_name_get_names_of_their_own(turnstile: Turnstile, pairs):
    for client, server in pairs:
        turnstile.add(server.fileno())
        client.sendall(PLAIN)
    assert turnstile.turn(0, 3, b"")[0] == 3  # as many as it may read of, then the others
    assert turnstile.turn(0, 3, b"")[0] == 1
    names = {client.recv(1000).rsplit(b"<")[1] for client, _ in pairs}
    assert len(names) == len(pairs)
    assert {len(each) for each in names} == {17}


def test_as_many_as_there_is_room_for_are_let_through_unread(turnstile: Turnstile, pairs):
    for client, server in pairs:
        turnstile.add(server.fileno())
        client.sendall(PLAIN)
    refused, handed = turnstile.turn(2, 8, b"")
    assert refused == 2
    assert [(each.content, each.unsent) for each in handed] == [(PLAIN, False)] * 2
    for client, _ in pairs:
        client.sendall(PLAIN)
    assert turnstile.turn(0, 8, b"")[0] == 2  # nobody reads of those who have left
    assert {each.socket for each in handed} < {server.fileno() for _, server in pairs}


@pytest.mark.parametrize("content", [PLAIN[:-1], PLAIN * 2, b"GET / HTTP/1.1\r\n\r\n", b"\0"])
def test_what_is_not_plain_is_left_to_a_parser(turnstile: Turnstile, pairs, content: bytes):
    client, server = pairs[0]
    turnstile.add(server.fileno())
    client.sendall(content)
    assert turnstile.turn(0, 8, b"") == (0, [(server.fileno(), content, False)])


def test_a_client_that_has_gone_leaves(turnstile: Turnstile, pairs):
    client, server = pairs[0]
    turnstile.add(server.fileno())
    client.close()
    assert turnstile.turn(0, 8, b"") == (0, [(server.fileno(), b"", False)])
    turnstile.remove(server.fileno())  # a second time does no harm


def test_an_answer_that_a_client_does_not_take_is_handed_over(turnstile: Turnstile, pairs):
    client, server = pairs[0]
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while server.send(b"." * 4096):
            pass
    turnstile.add(server.fileno())
    client.sendall(NAMED)
    refused, handed = turnstile.turn(0, 8, b"")
    assert refused == 1
    assert handed[0].unsent
    assert handed[0].content.endswith(b"<abc-1>")
