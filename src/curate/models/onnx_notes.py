"""What an ONNX file does not say of itself: MODEL.json beside MODEL.onnx, see docs/models.md.

A graph tells the size and order of its input, but hardly ever in which range it wants its numbers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from curate.errors import CurateError
from curate.models.preprocessing import Channels, Fit, Interpolation, Layout, Triple

EXAMPLE = """{
  "scale": 0.00392156862745098,
  "mean": [0.485, 0.456, 0.406],
  "std": [0.229, 0.224, 0.225]
}"""


def _per_channel(value: Any) -> Any:
    return [value] * 3 if isinstance(value, int | float) else value


def _both_sides(value: Any) -> Any:
    return [value] * 2 if isinstance(value, int) else value


PerChannel = Annotated[Triple, BeforeValidator(_per_channel)]
Side = Annotated[int, Field(ge=8, le=4096)]


class OnnxNotes(BaseModel):
    """The keys of the JSON file; all may be left out that the model tells itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: str | None = Field(None, description="The input that takes the picture, if there are several.")
    output: str | None = Field(None, description="Any tensor of the graph to use as the embedding.")
    logits: str | None = Field(None, description="The output with one score per class.")
    size: Annotated[tuple[Side, Side], BeforeValidator(_both_sides)] | None = Field(
        None, description="Pixels, 224 or [height, width], where the model takes any."
    )
    layout: Layout | None = Field(None, description='"NCHW" or "NHWC", where the model does not tell.')
    scale: float | None = Field(
        None, gt=0, description="The model gets (byte * scale - mean) / std. 1/255 is 0.00392156862745098."
    )
    mean: PerChannel | None = Field(None, description="One number or three, after scaling. Default: 0.")
    std: PerChannel | None = Field(None, description="One number or three, after scaling. Default: 1.")
    channels: Channels = Field("RGB", description='"RGB" or "BGR".')
    fit: Fit = Field("stretch", description='"stretch" to the size, or "crop" the middle.')
    crop_share: float = Field(1.0, gt=0, le=1, description='With "crop": how much of the shorter side is seen.')
    interpolation: Interpolation = Field("bilinear", description='"bilinear" or "bicubic".')
    labels: list[str] | str | None = Field(
        None, description="Class names in the order of the scores: a list, or a file beside this one."
    )
    licence: str | None = Field(None, description="Shown by `curate models describe`.")
    source: str | None = Field(None, description="Shown by `curate models describe`.")

    @field_validator("std")
    @classmethod
    def _no_zero(cls, std: Triple | None) -> Triple | None:
        if std is not None and not all(number > 0 for number in std):
            raise ValueError("every number must be above 0")
        return std


def notes_file(model: Path) -> Path:
    """Where the notes of a model are: MODEL.json beside MODEL.onnx."""
    return model.with_suffix(".json")


def read_notes(model: Path) -> OnnxNotes | None:
    """The notes beside the model, if there are any. Raises CurateError that names key and file."""
    file = notes_file(model)
    try:
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CurateError(f"{str(file)!r}, which describes the model, can't be read: {error}.") from error
    try:
        return OnnxNotes.model_validate(found)
    except ValidationError as error:
        raise CurateError(_explain(error, file), "The keys are listed in docs/models.md.") from error


def read_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a model's own metadata says of scaling: `input_scale` and `input_zero_point`, as converters write them.

    They mean (byte - zero_point) * scale.
    """
    try:
        scale, zero = float(metadata["input_scale"]), float(metadata.get("input_zero_point", 0))
    except (KeyError, ValueError):
        return {}
    return {"scale": scale, "mean": (zero * scale,) * 3}


def _explain(error: ValidationError, file: Path) -> str:
    """The first problem in the user's words."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"][:1])
    if problem["type"] == "extra_forbidden":
        close = get_close_matches(key, OnnxNotes.model_fields, n=1)
        known = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(OnnxNotes.model_fields)}."
        return f"{str(file)!r} has the key {key!r}, which means nothing. {known}"
    what = f"{key} = {json.dumps(problem['input'])}" if key else "its content"
    return f"{str(file)!r}: {what} does not fit: {problem['msg']}."
