"""Which pictures the backbone of the wheel learns from, and which only judge it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SEED = 7

# Caltech-101 classes that only judge. Drawn by `heldout_classes`; classes that show one thing go together.
HELDOUT = 20
TOGETHER = (
    ("Faces", "Faces_easy"),
    ("cougar_body", "cougar_face"),
    ("crocodile", "crocodile_head"),
    ("flamingo", "flamingo_head"),
)
# The subjects of the sets that judge us elsewhere: ants, bees, traffic signs. WordNet numbers are ImageNet's.
FORBIDDEN = ("/ant/", "/stop_sign/", "n02206856", "n02219486", "n06794110")
SUFFIXES = {".jpg", ".jpeg", ".png"}


def heldout_classes(corpus: Path) -> list[str]:
    """The Caltech-101 classes that are never trained on, at least `HELDOUT`; the same for everyone."""
    names = sorted(folder.name for folder in (corpus / "caltech101").iterdir() if folder.name != "BACKGROUND_Google")
    drawn: list[str] = []
    for name in np.random.default_rng(SEED).permutation(names):
        if len(drawn) < HELDOUT and name not in drawn:
            drawn += next((list(group) for group in TOGETHER if name in group), [str(name)])
    return sorted(drawn)


def training_pictures(data: Path, photos: Path | None) -> list[Path]:
    """Every picture to learn from, in a fixed order: none of a held-out class, nor a copy of one that judges."""
    corpus = data / "corpus"
    heldout = {f"/caltech101/{name}/" for name in heldout_classes(corpus)}
    folders = [corpus, photos] if photos else [corpus]
    pictures = [path for one in folders for path in sorted(one.rglob("*")) if path.suffix.lower() in SUFFIXES]
    pictures = [path for path in pictures if not any(part in path.as_posix() for part in (*heldout, *FORBIDDEN))]
    judges = [path for path in heldout_pictures(data) if path.suffix.lower() in SUFFIXES]
    copies = _copies(pictures, judges)
    return [path for path, is_copy in zip(pictures, copies, strict=True) if not is_copy]


def heldout_pictures(data: Path) -> list[Path]:
    """The pictures of the corpus and of `pets` that judge."""
    folders = [data / "corpus/caltech101" / name for name in heldout_classes(data / "corpus")]
    return [path for folder in (*folders, data / "pets") for path in sorted(folder.rglob("*")) if path.is_file()]


def _copies(pictures: list[Path], judges: list[Path]) -> NDArray[np.bool_]:
    """(N,) which pictures are nearly the same as one of the judges, by thumbnails of 16 x 16 px."""
    seen, known = _thumbnails(pictures), _thumbnails(judges)
    return np.asarray((seen @ known.T).max(axis=1) > 0.97)  # correlation; re-saved at another size: above .99


def _thumbnails(paths: list[Path]) -> NDArray[np.float32]:
    """(N, 256), each of mean 0 and length 1."""
    rows = []
    for path in paths:
        with Image.open(path) as image:
            image.draft("L", (32, 32))
            small = image.convert("L").resize((16, 16), Image.Resampling.BOX)
        rows.append(np.asarray(small, np.float32).ravel())
    centred = np.stack(rows) - np.stack(rows).mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6), np.float32)
