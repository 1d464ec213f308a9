"""Folders of Hugging Face and timm models: config.json, weights in safetensors. Needs curate[torch].

Only files of the folder are read, nothing is fetched, and none of its code is run: weights in pickles could run
anything, so they are refused. Pictures are prepared as the folder says; its own image processor is not asked, as
that would need torchvision.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import CurateError
from curate.imaging import DecodedImage
from curate.models.preprocessing import Preprocessing

Floats = NDArray[np.float32]

CODE = 4  # part of the identity: a new number when the same folder gives other vectors
INSTALL = "pip install 'curate[torch]'"
# Where Hugging Face writes how pictures are prepared: the second, under "image_processor", for models of pictures
# and text saved by transformers 5.
PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"
TIMM_WEIGHTS = "model.safetensors"
BYTE = 1 / 255
# Steps of Hugging Face's image processors that are not done here; EfficientNet's include_top divides by std twice.
ODD_STEPS = frozenset(
    "do_pad do_image_splitting do_grayscale do_thumbnail do_crop_margin do_color_quantize do_affine_transform "
    "include_top rescale_offset".split()
)
ODD_PROCESSORS = ("Levit",)  # enlarges to 256 / 224 of the size it names
CONVNEXT_SQUASHES_PX = 384  # transformers, ConvNextImageProcessor.resize
BICUBIC = 3  # Pillow's number, as Hugging Face writes it


@dataclass(frozen=True)
class TorchModel:
    """A model of torch, on the CPU. forward: its input, (B, 3, h, w), to vectors, (B, D), both as torch's tensors."""

    forward: Callable[[Any], Any]
    name: str
    identity: str
    dimensions: int
    preprocessing: Preprocessing
    about: Mapping[str, str]

    @property
    def min_side_px(self) -> int:
        """How large pictures must be to be scaled down to the model's size, not up."""
        return self.preprocessing.min_side_px

    def prepare(self, image: DecodedImage) -> NDArray[np.uint8]:
        """The picture at the model's size, (h, w, 3)."""
        return self.preprocessing.prepare(image)

    def embed(self, batch: NDArray[np.uint8]) -> Floats:
        """(B, h, w, 3) -> (B, D). Raises what torch raises."""
        import torch

        with _one_thread(), torch.inference_mode():
            found = self.forward(torch.from_numpy(self.preprocessing.batch(batch)))
        return np.ascontiguousarray(found.float().numpy(), np.float32)


def open_folder(folder: Path) -> TorchModel:
    """The model in that folder. Raises CurateError for one that is incomplete, or if torch is not installed."""
    config = _read_json(folder / "config.json")
    is_timm = "architecture" in config
    weights = sorted(folder.glob(TIMM_WEIGHTS if is_timm else "*.safetensors"))
    if not weights:
        raise CurateError(
            f"The model folder {str(folder)!r} has no weights: expected model.safetensors.",
            "Save the model with save_pretrained(FOLDER, safe_serialization=True). Weights in pickles (.bin, .pt) are "
            "not read, as they may run code.",
        )
    _needed("torch")
    preprocessing, file = (read_timm if is_timm else read_hugging_face)(folder)
    forward, output = (_open_timm if is_timm else _open_hugging_face)(folder)
    said = {
        "file": str(folder),
        "kind": f"timm, {config['architecture']}" if is_timm else f"Hugging Face, {config.get('model_type', '')}",
        "input": preprocessing.describe(),
        "scaling": preprocessing.describe_scaling() + f", from {file}",
        "licence": str(config.get("pretrained_cfg", {}).get("license", "")) if is_timm else "",
    }
    model = TorchModel(forward, folder.name, _identity(folder, weights), 0, preprocessing, said)
    return _tried(model, folder, output)


# ---- timm


def _open_timm(folder: Path) -> tuple[Callable[[Any], Any], str]:
    timm = _needed("timm")
    with _explained(folder), _quiet():
        module = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0)
    return module.eval().float(), "what goes into the last layer"


def read_timm(folder: Path) -> tuple[Preprocessing, str]:
    """How pictures are prepared, and the name of the file that says so. Raises CurateError."""
    file = folder / "config.json"
    config = _read_json(file)
    given = config.get("pretrained_cfg", config)
    squashed = given.get("crop_mode") == "squash"
    try:
        preprocessing = Preprocessing(
            height=int(given["input_size"][1]),
            width=int(given["input_size"][2]),
            scale=BYTE,
            mean=tuple(given["mean"]),
            std=tuple(given["std"]),
            fit="stretch" if squashed else "crop",
            crop_share=float(given.get("crop_pct") or 1),
            interpolation="bicubic" if given.get("interpolation") == "bicubic" else "bilinear",
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise _does_not_tell(file, error) from error
    return preprocessing, file.name


# ---- Hugging Face


def _open_hugging_face(folder: Path) -> tuple[Callable[[Any], Any], str]:
    transformers = _needed("transformers")
    with _explained(folder), _quiet(transformers):
        module, loaded = transformers.AutoModel.from_pretrained(
            str(folder),
            local_files_only=True,
            output_loading_info=True,
            use_safetensors=True,
            trust_remote_code=False,  # else it asks on the terminal whether to run code of the folder
        )
    missing = sorted(map(str, loaded["missing_keys"]))
    # Checkpoints of classifiers have no pooler; transformers would add one of random numbers.
    untrained_pooler = any("pooler" in key for key in missing)
    lacking = [key for key in missing if "pooler" not in key]
    if lacking:
        raise CurateError(
            f"The weights in {str(folder)!r} lack {len(lacking)} parts of the model, for example {lacking[0]!r}."
        )
    module.eval().float()
    if hasattr(module, "get_image_features"):
        return lambda pixels: _pooled(module.get_image_features(pixel_values=pixels)), "the image features"
    if untrained_pooler:
        return lambda pixels: _first_or_mean(module, module(pixel_values=pixels).last_hidden_state), "the last layer"
    return lambda pixels: _pooled_output(module, pixels), "the pooled output"


def _pooled_output(module: Any, pixels: Any) -> Any:
    found = module(pixel_values=pixels)
    pooled = getattr(found, "pooler_output", None)
    return _first_or_mean(module, found.last_hidden_state) if pooled is None else pooled.flatten(1)


def _pooled(found: Any) -> Any:
    """Older versions give the vectors, newer ones an object that holds them."""
    pooled = getattr(found, "pooler_output", None)
    return found if pooled is None else pooled


def _first_or_mean(module: Any, hidden: Any) -> Any:
    """The class token, (B, T, D) -> (B, D), where there is one; else the mean of tokens or of the feature map."""
    if hidden.ndim == 4:  # (B, D, h, w)
        return hidden.mean(dim=(2, 3))
    has_class_token = any(name.endswith("cls_token") for name, _ in module.named_parameters())
    return hidden[:, 0] if has_class_token else hidden.mean(dim=1)


def read_hugging_face(folder: Path) -> tuple[Preprocessing, str]:
    """How pictures are prepared, and the name of the file that says so. Raises CurateError."""
    file, given = _read_preprocessor(folder)
    _refuse_odd_steps(file, given)
    try:
        height, width, share, squashed = _frame(given)
        blue_first = bool(given.get("do_flip_channel_order"))
        normalized = given.get("do_normalize", not blue_first)  # MobileViT does the one and not the other
        preprocessing = Preprocessing(
            height=height,
            width=width,
            scale=float(given.get("rescale_factor", BYTE)) if given.get("do_rescale", True) else 1.0,
            mean=tuple(given["image_mean"]) if normalized else (0, 0, 0),
            std=tuple(given["image_std"]) if normalized else (1, 1, 1),
            channels="BGR" if blue_first else "RGB",
            fit="stretch" if squashed else "crop",
            crop_share=share,
            interpolation="bicubic" if given.get("resample") == BICUBIC else "bilinear",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _does_not_tell(file, error) from error
    return preprocessing, file.name


def _read_preprocessor(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The file that says how pictures are prepared, and what it says. The newer one wins, as in transformers."""
    file = folder / PROCESSOR
    nested = _read_json(file).get("image_processor") if file.is_file() else None
    if isinstance(nested, dict):
        return file, nested
    return folder / PREPROCESSOR, _read_json(folder / PREPROCESSOR)


def _refuse_odd_steps(file: Path, given: Mapping[str, Any]) -> None:
    kind = str(given.get("image_processor_type", given.get("feature_extractor_type", "")))
    odd = sorted(step for step in ODD_STEPS if given.get(step)) or [one for one in ODD_PROCESSORS if one in kind]
    if odd:
        raise CurateError(
            f"{str(file)!r} asks for a way to prepare pictures that curate does not know: {', '.join(odd)}.",
            "Export the model to an ONNX file; docs/models.md tells how to describe it.",
        )


def _frame(given: Mapping[str, Any]) -> tuple[int, int, float, bool]:
    """Height and width in px, the share of the shorter side that is seen, and whether the picture is squashed."""
    size = _sides(given["size"])
    if given.get("crop_pct"):  # ConvNeXt's word; it squashes where the model takes 384 px or more
        squashed = size[0] >= CONVNEXT_SQUASHES_PX
        return *size, 1.0 if squashed else float(given["crop_pct"]), squashed
    crops = given.get("do_center_crop", "crop_size" in given) and given.get("crop_size")
    crop = _sides(given["crop_size"]) if crops else size
    # Older files say "size": 224. With a crop that is the shorter side, without one a square.
    squashed = "height" in given["size"] if isinstance(given["size"], Mapping) else not crops
    return *crop, min(crop[0] / size[0], 1.0), squashed


def _sides(size: Any) -> tuple[int, int]:
    """Height and width from 224, {"shortest_edge": 224} or {"height": 224, "width": 224}."""
    if isinstance(size, Mapping):
        edge = size.get("shortest_edge")
        return (int(edge), int(edge)) if edge else (int(size["height"]), int(size["width"]))
    return int(size), int(size)


# ---- Both


def _needed(package: str) -> Any:
    """The package. Raises CurateError with the line that installs it."""
    try:
        return import_module(package)
    except ImportError as error:
        missing = f"{package} is not installed" if error.name == package else f"{package} can't be imported: {error}"
        raise CurateError(f"A folder of a model needs torch, transformers and timm; {missing}.", INSTALL) from error
    except Exception as error:  # torchvision made for another torch raises RuntimeError
        raise CurateError(f"{package} is installed but can't be imported: {error}.", INSTALL) from error


def _read_json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CurateError(
            f"The model folder {str(file.parent)!r} has no {file.name}.",
            "Expected the folder of a Hugging Face or timm model, as save_pretrained or save_for_hf write it.",
        ) from error
    except (OSError, ValueError) as error:
        raise CurateError(f"{str(file)!r} can't be read: {error}.") from error
    if not isinstance(found, dict):
        raise CurateError(f"{str(file)!r} can't be read: expected an object of keys and values.")
    return found


def _does_not_tell(file: Path, error: Exception) -> CurateError:
    return CurateError(f"{str(file)!r} does not tell how pictures are prepared: {type(error).__name__} {error}.")


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # these libraries raise anything for a folder that does not fit
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CurateError(f"The model in {str(folder)!r} can't be loaded: {words[:300]}") from error


@contextmanager
def _quiet(transformers: Any = None) -> Iterator[None]:
    """Without progress bars and reports on stderr."""
    verbosity = transformers.logging.get_verbosity() if transformers else 0
    if transformers:
        transformers.logging.set_verbosity_error()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        if transformers:
            transformers.logging.set_verbosity(verbosity)


@contextmanager
def _one_thread() -> Iterator[None]:
    """All cores are busy with processes of their own, and threads would not outlive a fork."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _identity(folder: Path, weights: list[Path]) -> str:
    digest = hashlib.sha256(str(CODE).encode())
    for file in [folder / "config.json", folder / PROCESSOR, folder / PREPROCESSOR, *weights]:
        if file.is_file():
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", folder.resolve().name)[:60]
    return f"{name}-{digest.hexdigest()[:16]}"


def _tried(model: TorchModel, folder: Path, output: str) -> TorchModel:
    """The model after it has seen a grey picture; only now it is sure what it puts out."""
    pre = model.preprocessing
    with _explained(folder):
        found = model.embed(np.full((1, pre.height, pre.width, 3), 128, np.uint8))
    if found.ndim != 2:
        raise CurateError(f"The model in {str(folder)!r} gives the shape {found.shape}; expected (1, D).")
    about = {**model.about, "output": f"{output}, {found.shape[1]} numbers"}
    return replace(model, dimensions=found.shape[1], about={topic: text for topic, text in about.items() if text})
