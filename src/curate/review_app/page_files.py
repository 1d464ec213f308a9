"""The files that the page consists of: found by exact name, with a fixed type, packed, and sent once."""

from __future__ import annotations

import gzip
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


def page_file(request: Request, name: str) -> Response:
    """A file of the page; nothing but that it is unchanged, where the browser has it.

    They are the same for everybody, so packing them gives nothing away, unlike answers that hold secrets.
    Raises HTTPException (404) for every other name.
    """
    known = {one.name: one for one in files("curate.review_app").joinpath("static").iterdir() if one.is_file()}
    kind = TYPES.get(name[name.rfind(".") :])
    if name not in known or kind is None:
        raise HTTPException(404)
    data = known[name].read_bytes()
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag, "Vary": "Accept-Encoding"}  # the next curate has others
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        data = gzip.compress(data, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(data, media_type=kind, headers=headers)
