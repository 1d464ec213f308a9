"""What a request says: a JSON object."""

from __future__ import annotations

import json
from typing import Any, TypeGuard

from starlette.requests import Request

Body = dict[str, Any]


class Wrong(Exception):
    """A request that makes no sense; the message says why."""


def is_text(value: object) -> TypeGuard[str]:
    """Whether it can be written in UTF-8: JSON can name halves of a character, which can't."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


async def read_body(request: Request) -> Body:
    """The object. Raises Wrong if it is none."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Wrong("The request is no JSON.") from error
    if not isinstance(body, dict):
        raise Wrong("The request is no JSON object.")
    return body
