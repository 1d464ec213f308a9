"""How `curate normalize` makes pictures uniform: the settings, and where the picture goes.

Plain numbers only; `curate.uniform` does it to pixels. A version records its transform, so what decides pixels must be
complete here, and the same on every machine.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

# Of the way from bytes to pixels: a new number makes every output anew.
ALGORITHM = 1

MAX_SIDE_PX = 16_383  # of WebP
MAX_PIXELS = 178_956_970  # of what `open_image` reads
_COLOUR = re.compile("#[0-9a-fA-F]{6}")
_SIZE = re.compile(r"([0-9]{1,6})(?:[xX]([0-9]{1,6}))?")

# A JPEG is decoded at 1/2, 1/4 or 1/8 of its size, and another picture averaged over blocks, where so many pixels per
# pixel of the result are left for the filter. Origin: benchmarks/normalize_choices.py. Beside decoding everything,
# photographs of 8 megapixels at 224 px keep 50 dB and more (57 in the mean) for a fifth of the time, drawings of thin
# lines 46 dB. With 2 instead of 3 the drawings fall to 42.5 dB, and a fine grid shows twice the moiré.
SHRINK_GAP = 3.0

# A table in TOML holds 224 where we take the text "224".
_Text = BeforeValidator(lambda value: str(value) if type(value) is int else value)


class Transform(BaseModel):
    """What normalized pictures look like."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Annotated[str | None, _Text] = Field(
        None,
        description='Width and height in px: "224" for 224 x 224, or "320x240". Without it, pictures are not '
        "normalized.",
    )
    fit: Literal["crop", "pad", "stretch", "longest"] = Field(
        "crop",
        description='How a picture of another shape gets there. "crop": fill the size, cut what sticks out; "pad": fit '
        'inside, fill the rest with `background`; "stretch": ignore the shape; "longest": fit inside and keep the '
        "shape, so that only the longer side has the size. Smaller pictures are enlarged.",
    )
    crop: Literal["centre", "smart"] = Field(
        "centre",
        description='What `fit = "crop"` keeps: "centre", or "smart", the part with the most detail (the largest sum '
        "of differences between neighbouring pixels).",
    )
    background: str = Field(
        "#ffffff",
        description="Colour behind transparent pictures, and around those that are padded: #RRGGBB. White by default, "
        "the page that most cut-outs, logos and drawings are made for.",
    )
    format: Literal["jpeg", "png", "webp"] = Field(
        "jpeg", description="File format. PNG is lossless; so is WebP at `quality = 100`."
    )
    quality: int = Field(
        95,
        ge=1,
        le=100,
        description="Of JPEG and WebP. Origin of 95: photographs at 224 px then keep 42 dB (SSIM 0.991) in 30 kB; 90 "
        "gives 39 dB (0.981) in 21 kB.",
    )
    chroma: Annotated[Literal["444", "422", "420"], _Text] = Field(
        "444",
        description="Colour resolution of JPEG: 444 is full, 420 a quarter. Origin: at 224 px, 420 saves a fifth of "
        "the bytes and costs 3 dB, 7 where colours are strong. WebP has 420 unless it is lossless.",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_algorithm(cls, values: Any) -> Any:
        """The record of a version, see `as_dict`, makes a Transform as well."""
        return (
            {key: value for key, value in values.items() if key != "algorithm"} if isinstance(values, dict) else values
        )

    @field_validator("size")
    @classmethod
    def _size_works(cls, size: str | None) -> str | None:
        if size is not None:
            _parsed(size)
        return size

    @field_validator("background")
    @classmethod
    def _is_a_colour(cls, background: str) -> str:
        if not _COLOUR.fullmatch(background):
            raise PydanticCustomError("colour", "expected a colour as #RRGGBB, like #ffffff for white")
        return background

    @property
    def width(self) -> int:
        """In px; of the box to fit inside where `fit` is "longest". Raises ValueError without a size."""
        return self._box[0]

    @property
    def height(self) -> int:
        """As `width`."""
        return self._box[1]

    @property
    def _box(self) -> tuple[int, int]:
        if self.size is None:
            raise ValueError("this transform has no size")
        return _parsed(self.size)

    @property
    def background_rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0 to 255."""
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue

    @property
    def lossless(self) -> bool:
        """Whether the file holds exactly the pixels that were computed."""
        return self.format == "png" or (self.format == "webp" and self.quality == 100)

    def as_dict(self) -> dict[str, Any]:
        """What decides the pixels, as plain data, for the record of a version; {} without a size.

        Settings that change nothing, like the quality of PNG, are left out: equal pictures have equal records.
        """
        if self.size is None:
            return {}
        values: dict[str, Any] = {"algorithm": ALGORITHM, "size": f"{self.width}x{self.height}", "fit": self.fit}
        if self.fit == "crop":
            values["crop"] = self.crop
        values |= {"background": self.background.lower(), "format": self.format}
        if self.format != "png":
            values["quality"] = self.quality
        if self.format == "jpeg":
            values["chroma"] = self.chroma
        return values

    @property
    def identity(self) -> str:
        """A digest of `as_dict`, fit for a file name."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:16]


def _parsed(size: str) -> tuple[int, int]:
    match = _SIZE.fullmatch(size.strip())
    width, height = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX and width * height <= MAX_PIXELS):
        raise PydanticCustomError(
            "size",
            "expected a size in px like 224 or 320x240, sides of 1 to {side} and at most {pixels} px in all",
            {"side": MAX_SIDE_PX, "pixels": MAX_PIXELS},
        )
    return width, height


# ---- Where a picture goes


@dataclass(frozen=True)
class Placement:
    """Which part of a picture is scaled, and to which size.

    x, y, width, height: of the part, in px of the picture, also fractions. to_width, to_height: in px of the result.
    """

    x: float
    y: float
    width: float
    height: float
    to_width: int
    to_height: int

    @property
    def shrinking(self) -> float:
        """Pixels of the picture per pixel of the result, along the side that has fewer; below 1 it is enlarged."""
        return min(self.width / self.to_width, self.height / self.to_height)


def placement(width: int, height: int, box: tuple[int, int], fit: str) -> Placement:
    """Where a picture of this size goes. box: width and height of the result. A crop is cut at the centre."""
    if fit == "stretch":
        return Placement(0, 0, width, height, *box)
    if fit == "crop":
        # At least one pixel, even of a picture far longer than wide.
        part_width = max(1.0, min(width, height * box[0] / box[1]))
        part_height = max(1.0, min(height, width * box[1] / box[0]))
        return Placement((width - part_width) / 2, (height - part_height) / 2, part_width, part_height, *box)
    scale = min(box[0] / width, box[1] / height)
    sides = (max(1, min(most, round(side * scale))) for side, most in zip((width, height), box, strict=True))
    return Placement(0, 0, width, height, *sides)
