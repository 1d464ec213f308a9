"""`open_image`: the only place where image bytes become pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class DecodedImage:
    """One decoded picture, upright, as every check sees it.

    rgb: (h, w, 3) uint8 sRGB, at the working size (see `open_image`), which may be smaller than the file's.
    width, height: of the upright picture at full size, in px.
    format: Pillow's name ("JPEG", "PNG", …); mode: Pillow's name of the file's own mode ("RGB", "L", "P", …).
    decoder: which library decoded it, with version, e.g. "simplejpeg 1.9.0".
    """

    rgb: NDArray[np.uint8]  # (h, w, 3)
    width: int
    height: int
    format: str
    mode: str
    size_bytes: int
    decoder: str

    @cached_property
    def grey(self) -> Image.Image:
        """Luma (Rec. 601) of `rgb` as a Pillow image of mode "L"."""
        return Image.fromarray(self.rgb).convert("L")

    @cached_property
    def luma(self) -> NDArray[np.uint8]:
        """The same luma as an array.  # (h, w), 0 black .. 255 white"""
        return np.asarray(self.grey)

    @cached_property
    def luma_histogram(self) -> NDArray[np.int64]:
        """Number of pixels per luma value.  # (256,)"""
        return np.asarray(self.grey.histogram(), dtype=np.int64)


def open_image(data: bytes) -> DecodedImage:
    """Decode the bytes of one image file, strictly, at the working size.

    Raises UnreadableImage with a reason from READ_ERRORS; nothing else.
    """
    raise NotImplementedError
