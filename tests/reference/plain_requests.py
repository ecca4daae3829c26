"""Which bytes are a whole request of the plainest form, slowly."""

from __future__ import annotations

import re

FIELD = re.compile(rb"[A-Za-z0-9_-]+\Z")
NAME = re.compile(rb"[A-Za-z0-9._-]{1,64}\Z")
LENGTH = re.compile(rb"[0-9]{1,7}\Z")


def plain_request_id(content: bytes, first_line: bytes) -> bytes | None:
    """The request's name, empty without one; None for any other bytes."""
    head, blank, body = content.partition(b"\r\n\r\n")
    lines = (head + b"\r\n").split(b"\r\n")[:-1]
    if not blank or lines[0] + b"\r\n" != first_line:
        return None
    found: dict[bytes, bytes] = {}
    for line in lines[1:]:
        field, colon, value = line.partition(b":")
        if not colon or not FIELD.match(field) or any(each < 0x20 or each == 0x7F for each in value):
            return None
        field, value = field.lower(), value.removeprefix(b" ")
        if field in (b"transfer-encoding", b"expect", b"upgrade"):
            return None
        if field == b"connection" and value.lower() != b"keep-alive":
            return None
        if field in (b"content-length", b"x-request-id"):
            if field in found or not (LENGTH if field == b"content-length" else NAME).match(value):
                return None
            found[field] = value
    if int(found.get(b"content-length", -1)) != len(body):
        return None
    return found.get(b"x-request-id", b"")
