"""The process that forms `flag`'s opinions anew while a session is open, so that the server answers as fast as before.

    python -m curate.review_app.flagging FOLDER STORE CONFIG NETWORK      ("" = no file of settings; no network)

It writes lines of JSON: {"title": …, "done": …, "total": …} as it goes, and {"error": …, "hint": …} where it can't.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from curate.errors import CurateError
from curate.progress import Advance
from curate.project import Project

NICE = 10  # so low a priority that who reviews does not feel it
TELL_EVERY_S = 0.2


def main(arguments: list[str]) -> int:
    """Do it; returns the exit status."""
    folder, store, config, network = arguments
    if hasattr(os, "nice"):
        os.nice(NICE)
    from curate.modelling import flag_again

    try:
        flag_again(Project.at(folder, store, config or None, bool(network)), workers=1, progress=_told)
    except CurateError as error:
        _tell({"error": str(error), "hint": error.hint})
        return 1
    except KeyboardInterrupt:  # Ctrl-C ends the session, and this with it
        return 130
    return 0


@contextmanager
def _told(title: str, total: int) -> Iterator[Advance]:
    done, told_at = 0, 0.0

    def advance(count: int, /, *, size_bytes: int = 0, errors: int = 0) -> None:  # noqa: ARG001  of every Advance
        nonlocal done, told_at
        done += count
        if time.monotonic() - told_at > TELL_EVERY_S:
            told_at = time.monotonic()
            _tell({"title": title, "done": done, "total": total})

    _tell({"title": title, "done": 0, "total": total})
    yield advance


def _tell(line: dict[str, object]) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
