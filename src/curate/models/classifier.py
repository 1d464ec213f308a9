"""A classifier in an ONNX file: its scores as probabilities of classes with names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import CurateError
from curate.imaging import DecodedImage
from curate.models import LOGITS
from curate.models.labels import labels_file, read_labels
from curate.models.onnx_file import OnnxModel, open_onnx
from curate.models.onnx_notes import notes_file

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Classifier:
    """Probabilities of classes. classes: their names in the order of the columns."""

    model: OnnxModel
    classes: list[str]

    @property
    def identity(self) -> str:
        """Of the model and the output; the same as that of the backbone MODEL.onnx#logits."""
        return self.model.identity

    def prepare(self, image: DecodedImage) -> NDArray[Any]:
        """One picture as an item of the model's input."""
        return self.model.prepare(image)

    def scores(self, batch: NDArray[Any]) -> Floats:
        """What the model puts out for prepared pictures: (B, ...) -> (B, K)."""
        return self.model.embed(batch)

    def probabilities(self, batch: NDArray[Any]) -> Floats:
        """Prepared pictures (B, ...) -> (B, K), rows sum to 1."""
        return as_probabilities(self.scores(batch))


def open_onnx_classifier(path: Path, labels: Path | None) -> Classifier:
    """See `curate.models.open_classifier`."""
    model = open_onnx(path, LOGITS)
    classes = read_labels(labels) if labels else model.labels
    if classes is None:
        raise CurateError(
            f"Nothing tells the class names of the classifier {str(path)!r}.",
            f"Write them into {str(labels_file(path))!r}, one per line in the order of its scores, "
            f'or as "labels" into {str(notes_file(path))!r}.',
        )
    if len(classes) != model.dimensions:
        raise CurateError(
            f"The classifier {str(path)!r} gives {model.dimensions} scores, but its list has {len(classes)} labels.",
            'Is there a line for each class, and one for "background" if the model has that?',
        )
    return Classifier(model, classes)


def as_probabilities(scores: Floats) -> Floats:
    """Softmax, unless the rows are probabilities already: (N, K), none negative, sum 1 within 1e-3."""
    if len(scores) and scores.min() >= 0 and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return scores
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)
