"""What a backbone is, and how one is opened.

A backbone turns pictures into vectors in which likeness is closeness. It is frozen: nothing here trains it. Its
identity covers everything that decides its output, and keys the cache of embeddings.

A model is named by a spec: "builtin" or "classic", which are in the wheel, an ONNX file, a folder of a Hugging Face or
timm model, or a name that `curate models pull` has fetched. FILE.onnx#NAME is that file with the tensor NAME as its
output; "#logits" stands for the scores of a classifier, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from curate.errors import CurateError
from curate.imaging import DecodedImage

if TYPE_CHECKING:
    from curate.models.classifier import Classifier

BUILTIN, CLASSIC = "builtin", "classic"
IN_WHEEL = (BUILTIN, CLASSIC)
LOGITS = "logits"  # PATH.onnx#logits: the scores instead of the embedding


class Backbone(Protocol):
    """Turns prepared pictures into vectors.

    name: as people call it. identity: file-name-safe, "name-0123456789abcdef", of everything that decides the output.
    dimensions: numbers per vector, D. min_side_px: pictures may be decoded smaller while their shorter side has so
    many px. about: what there is to say of it, by topic, for `curate models describe`.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def min_side_px(self) -> int: ...

    @property
    def about(self) -> Mapping[str, str]: ...

    def prepare(self, image: DecodedImage) -> NDArray[Any]:
        """One picture as an item of the model's input."""
        ...

    def embed(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """The vectors of prepared pictures: (B, ...) -> (B, D)."""
        ...


def open_backbone(spec: str | Path) -> Backbone:
    """The backbone of that name or file, see above. Raises CurateError when there is none or it does not fit."""
    if str(spec) == BUILTIN:
        from curate.models.builtin import open_builtin

        return open_builtin()
    if str(spec) == CLASSIC:
        from curate.models.classic import Descriptor

        return Descriptor()
    path, output = locate(spec)
    if path.is_dir():
        if output is not None:
            raise CurateError(f"{str(spec)!r}: only of an ONNX file an output can be chosen.", f"Give {str(path)!r}.")
        from curate.models.torch_folder import open_folder

        return open_folder(path)
    from curate.models.onnx_file import open_onnx

    return open_onnx(path, output)


def open_classifier(spec: str | Path, labels_file: Path | None = None) -> Classifier:
    """The classifier in an ONNX file, with its labels.

    labels_file: one label per line, in the order of the scores; default: from the notes beside the model, its
    metadata, or MODEL.labels.txt. Raises CurateError when there are none, or not as many as scores.
    """
    from curate.models.classifier import open_onnx_classifier

    path, _ = locate(spec)
    return open_onnx_classifier(path, labels_file)


def describe(spec: str | Path) -> dict[str, str | int]:
    """What there is to say of a model, by topic: name, identity, dimensions, and what it takes and gives, in words.

    Raises CurateError as `open_backbone` does.
    """
    backbone = open_backbone(spec)
    said: dict[str, str | int] = {"name": backbone.name, "identity": backbone.identity}
    return {**said, "dimensions": backbone.dimensions, **backbone.about}


def locate(spec: str | Path) -> tuple[Path, str | None]:
    """The file or folder of a model, and which of its outputs is wanted. Raises CurateError if there is none."""
    from curate.models.pulled import pulled_file, pulled_names

    name, _, output = str(spec).rpartition("#")
    for text, wanted in ((str(spec), None), (name, output)):
        if text and Path(text).exists():
            return Path(text), wanted
        if text and (file := pulled_file(text)) is not None:
            return file, wanted
    if name in IN_WHEEL:
        raise CurateError(f"{str(spec)!r}: only of an ONNX file an output can be chosen.", f"Give {name!r}.")
    known = ", ".join([*IN_WHEEL, *pulled_names()])
    raise CurateError(
        f"There is no model {name or str(spec)!r}.",
        f"Expected a name ({known}), an ONNX file, or a folder of a Hugging Face or timm model.",
    )
