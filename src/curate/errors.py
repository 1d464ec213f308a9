"""Every error that `curate` raises on purpose.

    CurateError                  something a user can act on; the command line prints it without a traceback
    ├── SettingsError            curate.toml or a command-line setting is wrong
    ├── SourceError              the image folder or label file can't be used as it is
    ├── StoreError               the store beside the folder is damaged, locked or can't be written
    │   └── StoreLocked          another process is writing to it
    └── VersionNotFound          no version, tag or id of that name

    UnreadableImage              one image can't be decoded: becomes a row with `read_error`, never ends a run

A message says what happened, with the offending value; `hint` says what to type next.
"""

from __future__ import annotations

from typing import Literal, get_args

ReadError = Literal[
    "empty",  # the file has no bytes
    "not_an_image",  # the bytes are no image of any format we know
    "truncated",  # the file ends before the picture does
    "corrupt",  # the bytes contradict themselves or the format
    "unsupported",  # an image, of a kind that the installed decoders do not read
    "too_large",  # more pixels than the limit: a decompression bomb, or a picture to downscale first
    "permission",  # the operating system refused to open it
    "missing",  # listed, or seen a moment ago, but not there
    "io_error",  # the disk or network failed while reading: never cached, tried again by the next run
    "decoder_crashed",  # the decoder killed its process
]
READ_ERRORS: tuple[str, ...] = get_args(ReadError)


class CurateError(Exception):
    """Something a user can act on."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SettingsError(CurateError):
    """A setting is misspelt, of the wrong type or out of range."""


class SourceError(CurateError):
    """The image folder or the label file can't be used as it is."""


class StoreError(CurateError):
    """The store is damaged or can't be written."""


class StoreLocked(StoreError):
    """Another process is writing to the store."""


class VersionNotFound(CurateError):
    """No version, tag or id of that name."""


class UnreadableImage(Exception):
    """One image that can't be decoded.

    reason: one of READ_ERRORS. detail: the decoder's own words, for `curate why`.
    """

    def __init__(self, reason: ReadError, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason: ReadError = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[UnreadableImage], tuple[str, str]]:
        return type(self), (self.reason, self.detail)  # crosses process borders whole
