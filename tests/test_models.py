"""Backbones: what a model file must say of itself, and what its vectors are."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from onnx import helper
from PIL import Image

import networks
from conftest import PICTURES, Curate
from curate.errors import CurateError
from curate.imaging import DecodedImage, open_image
from curate.models import Backbone, describe, open_backbone, open_classifier
from curate.models.builtin import FILE
from curate.models.onnx_notes import OnnxNotes
from curate.models.preprocessing import Preprocessing
from curate.models.torch_folder import read_hugging_face, read_timm
from networks import BYTE, SCALED
from pictures import encoded

HAS_TORCH = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


def plain(red: int, green: int, blue: int, width: int = 20, height: int = 10) -> DecodedImage:
    return open_image(encoded(Image.new("RGB", (width, height), (red, green, blue)), "PNG"))


def halves(left: tuple[int, int, int], right: tuple[int, int, int]) -> DecodedImage:
    """A picture twice as wide as high, of two colours."""
    image = Image.new("RGB", (32, 16), left)
    image.paste(right, (16, 0, 32, 16))
    return open_image(encoded(image, "PNG"))


def vectors(backbone: Backbone, *images: DecodedImage) -> Any:
    return backbone.embed(np.stack([backbone.prepare(image) for image in images]))


def refusal(spec: Path | str) -> str:
    """The message and the hint with which a model is refused."""
    with pytest.raises(CurateError) as refused:
        open_backbone(spec)
    return f"{refused.value}\n{refused.value.hint}"


# ---- `builtin`, trained by training/backbone


def test_the_builtin_model_needs_nothing_but_the_wheel() -> None:
    """It is at most 3 MB, takes bytes of 96 px, and its vectors have as many numbers as it says."""
    backbone = open_backbone("builtin")

    found = vectors(backbone, open_image(PICTURES[0]))

    assert FILE.stat().st_size <= 3_000_000
    assert backbone.prepare(open_image(PICTURES[0])).shape == (96, 96, 3)
    assert found.shape == (1, backbone.dimensions) == (1, 512)
    assert found.dtype == np.float32


def test_the_builtin_model_gives_the_same_numbers_everywhere() -> None:
    """Within 1e-3, on any processor. If this fails after a new training, change these."""
    backbone = open_backbone("builtin")
    places = np.add.outer(np.arange(96), 2 * np.arange(96)) % 256
    batch = np.stack([places, places.T, 255 - places], axis=-1).astype(np.uint8)[None]

    found = backbone.embed(batch)[0]

    assert backbone.identity == "builtin-d296a6a35daef555"
    assert_allclose(found[[216, 36, 481, 342, 50, 325]], [2.0028, 1.4087, 0.7329, 0.3239, 0.1421, 0.0668], atol=1e-3)


# ---- `classic`, made by hand


def test_the_classic_model_needs_no_file() -> None:
    """It is in the wheel, and its vectors have as many numbers as it says."""
    backbone = open_backbone("classic")

    found = vectors(backbone, open_image(PICTURES[0]))

    assert found.shape == (1, backbone.dimensions) == (1, 578)
    assert found.dtype == np.float32


def test_the_arithmetic_of_the_classic_model_is_part_of_its_identity() -> None:
    """If this fails, the numbers have changed: give VERSION in models/classic.py a new number, and change these."""
    backbone = open_backbone("classic")
    image = Image.radial_gradient("L").convert("RGB")
    image.paste((200, 40, 90), (30, 60, 120, 200))

    found = vectors(backbone, open_image(encoded(image, "PNG")))[0]

    assert backbone.identity == "classic-a69dce8df2945447"
    assert_allclose(
        found[[144, 112, 29, 351, 477, 325, 543, 575, 567]],
        [0.1519, 0.1284, 0.1165, 0.2863, 0.1539, 0.0999, 0.1435, 0.0657, 0.0446],
        atol=2e-4,
    )


def test_the_classic_model_finds_a_mirrored_picture_more_alike_than_another() -> None:
    """But not the same: what points left does not point right."""
    backbone = open_backbone("classic")
    picture, other = open_image(PICTURES[0]), open_image(PICTURES[1])
    flipped = np.ascontiguousarray(picture.rgbx[:, ::-1])
    mirrored = DecodedImage(flipped, picture.width, picture.height, "JPEG", "RGB", 1, "")

    one, two, three = vectors(backbone, picture, mirrored, other)

    assert one @ two > one @ three
    assert one @ two < 0.999 * (one @ one)


@pytest.mark.parametrize(
    "picture", [plain(0, 0, 0), plain(255, 255, 255), plain(9, 9, 9, 1, 1), plain(0, 9, 0, 300, 1)]
)
def test_the_classic_model_is_finite_on_pictures_of_nothing(picture: DecodedImage) -> None:
    """Plain, black and tiny pictures have no edges, and nothing is divided by that."""
    assert np.isfinite(vectors(open_backbone("classic"), picture)).all()


# ---- ONNX: range, layout, size, type


def test_the_range_of_numbers_is_read_from_metadata(tmp_path: Path) -> None:
    """(byte - zero point) * scale, as converters write it."""
    metadata = {"input_scale": "0.01", "input_zero_point": "55"}
    backbone = open_backbone(networks.means(tmp_path / "m.onnx", metadata=metadata))

    assert_allclose(vectors(backbone, plain(255, 55, 5)), [[2.0, 0.0, -0.5]], atol=1e-5)


def test_the_range_of_numbers_is_read_from_notes_beside_the_model(tmp_path: Path) -> None:
    """(byte * scale - mean) / std, with one number or three; notes win over metadata."""
    model = networks.means(tmp_path / "m.onnx")
    (tmp_path / "m.json").write_text(json.dumps({"scale": BYTE, "mean": 0.5, "std": [0.5, 0.25, 1]}))

    assert_allclose(vectors(open_backbone(model), plain(255, 255, 0)), [[1.0, 2.0, -0.5]], atol=1e-5)


def test_a_model_that_does_not_tell_its_range_is_refused(tmp_path: Path) -> None:
    """A wrong range would only make the vectors worse; the message shows the file to write."""
    words = refusal(networks.means(tmp_path / "m.onnx", metadata=None))

    assert "does not tell in which range it takes numbers" in words
    assert str(tmp_path / "m.json") in words
    assert '"scale": 0.00392156862745098' in words


def test_a_model_that_takes_bytes_gets_bytes(tmp_path: Path) -> None:
    """It scales them itself, so nothing needs to be told."""
    backbone = open_backbone(networks.means(tmp_path / "m.onnx", dtype="uint8", metadata=None))

    assert_allclose(vectors(backbone, plain(255, 128, 0)), [[255.0, 128.0, 0.0]])


def test_half_precision_input_is_given(tmp_path: Path) -> None:
    """The input's type is read from the model."""
    backbone = open_backbone(networks.means(tmp_path / "m.onnx", dtype="float16"))

    assert_allclose(vectors(backbone, plain(255, 51, 0)), [[1.0, 0.2, 0.0]], atol=1e-3)


def test_channels_last_are_recognized(tmp_path: Path) -> None:
    """The layout is read from where the three channels are."""
    backbone = open_backbone(networks.means(tmp_path / "m.onnx", shape=("N", 8, 8, 3), layout="NHWC"))

    assert_allclose(vectors(backbone, plain(255, 51, 0)), [[1.0, 0.2, 0.0]], atol=1e-5)


def test_a_model_may_want_blue_first(tmp_path: Path) -> None:
    """Mean and std are then in that order as well."""
    model = networks.means(tmp_path / "m.onnx")
    (tmp_path / "m.json").write_text(json.dumps({"scale": BYTE, "channels": "BGR", "mean": [1, 0, 0]}))

    assert_allclose(vectors(open_backbone(model), plain(255, 51, 0)), [[-1.0, 0.2, 1.0]], atol=1e-5)


def test_the_whole_picture_is_seen_unless_told(tmp_path: Path) -> None:
    """Squashed to a square: half of the picture is red, half is green."""
    backbone = open_backbone(networks.means(tmp_path / "m.onnx"))

    assert_allclose(vectors(backbone, halves((255, 0, 0), (0, 255, 0))), [[0.5, 0.5, 0.0]], atol=0.01)


def test_the_middle_is_cut_out_if_told() -> None:
    """Of 40 x 16 px the 16 x 16 in the middle, and of these the middle half of each side."""
    picture = np.zeros((16, 40, 3), np.uint8)
    picture[4:12, 16:24] = 255
    image = DecodedImage(np.dstack([picture, picture[..., 0]]), 40, 16, "PNG", "RGB", 1, "")

    found = Preprocessing(8, 8, fit="crop", crop_share=0.5).prepare(image)

    assert found.shape == (8, 8, 3)
    assert found.min() > 120  # bilinear scaling mixes in a little of what is around


def test_the_middle_may_be_stretched() -> None:
    """Of 40 x 16 px the 20 x 8 in the middle, squashed to a square."""
    picture = np.zeros((16, 40, 4), np.uint8)
    picture[4:12, 10:30] = 255
    image = DecodedImage(picture, 40, 16, "PNG", "RGB", 1, "")

    found = Preprocessing(8, 8, crop_share=0.5).prepare(image)

    assert found.shape == (8, 8, 3)
    assert found.min() > 120  # as above


def test_a_model_of_any_size_needs_to_be_told_one(tmp_path: Path) -> None:
    """With notes it works."""
    model = networks.means(tmp_path / "m.onnx", shape=("N", 3, "height", "width"))
    assert '{"size": 224}' in refusal(model)

    (tmp_path / "m.json").write_text('{"size": [16, 24], "scale": 1}')

    assert open_backbone(model).prepare(plain(1, 2, 3)).shape == (16, 24, 3)


@pytest.mark.parametrize("size", [1, 4])
def test_a_fixed_batch_is_filled_up(tmp_path: Path, size: int) -> None:
    """Five pictures for a model that takes four at a time, or one."""
    backbone = open_backbone(networks.means(tmp_path / "m.onnx", shape=(size, 3, 8, 8)))

    found = vectors(backbone, *[plain(51 * number, 0, 0) for number in range(5)])

    assert_allclose(found[:, 0], [0.0, 0.2, 0.4, 0.6, 0.8], atol=1e-5)


def test_pictures_are_decoded_as_large_as_the_model_sees_them(tmp_path: Path) -> None:
    """Or nearly so: of 384 px, at least 272 = 384 / 1.41; the checks' own 240 px would be enlarged 1.6 times."""
    model = networks.means(tmp_path / "m.onnx", shape=("N", 3, 384, 384))

    assert open_backbone(model).min_side_px == 272


def test_every_key_of_the_notes_is_documented() -> None:
    """docs/models.md is written by hand."""
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")

    assert [key for key in OnnxNotes.model_fields if f"`{key}`" not in page] == []


# ---- ONNX: which output


def test_a_named_output_is_the_embedding(tmp_path: Path) -> None:
    """Notes may name any tensor of the graph, also one that is no output."""
    model = networks.classifier(tmp_path / "m.onnx")
    (tmp_path / "m.json").write_text(json.dumps({"scale": BYTE, "output": "mean"}))

    assert_allclose(vectors(open_backbone(model), plain(255, 51, 0)), [[1.0, 0.2, 0.0]], atol=1e-5)


@pytest.mark.parametrize("softmax", [False, True])
def test_of_a_classifier_the_layer_before_the_scores_is_taken(tmp_path: Path, softmax: bool) -> None:
    """Even where the file does not put it out."""
    output = "output" if softmax else "logits"
    backbone = open_backbone(networks.classifier(tmp_path / "m.onnx", output, softmax=softmax))

    assert_allclose(vectors(backbone, plain(255, 51, 0)), [[2.0, 0.4, 0.0]], atol=1e-5)
    assert "before the scores" in backbone.about["output"]


def test_a_classifier_may_end_in_a_convolution(tmp_path: Path) -> None:
    """As MobileNet and SqueezeNet do: what goes into it is a feature map, and is averaged."""
    weights = {"last": np.zeros((5, 3, 1, 1), np.float32)}
    nodes = [
        helper.make_node("Relu", ["picture"], ["relu"]),
        helper.make_node("Conv", ["relu", "last"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    model = networks.save(tmp_path / "m.onnx", nodes, {"logits": ("N", 5)}, weights, metadata=SCALED)

    assert_allclose(vectors(open_backbone(model), plain(255, 51, 0)), [[1.0, 0.2, 0.0]], atol=1e-5)


def test_weights_in_a_file_beside_are_found_by_the_layer_before_the_scores(tmp_path: Path) -> None:
    """Large models keep them there; the graph with one more output is given to onnxruntime without its path."""
    weights = {"last": np.eye(3, 2, dtype=np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["mean", "last"], ["logits"]),
    ]
    outputs = {"logits": ("N", 2)}
    model = networks.save(tmp_path / "m.onnx", nodes, outputs, weights, metadata=SCALED, external="m.data")

    assert_allclose(vectors(open_backbone(model), plain(255, 51, 0)), [[1.0, 0.2, 0.0]], atol=1e-5)


def test_the_only_output_is_taken_as_it_is(tmp_path: Path) -> None:
    """A model made for embeddings may end in a layer like a classifier's."""
    backbone = open_backbone(networks.classifier(tmp_path / "m.onnx", "result"))

    assert backbone.dimensions == 2
    assert "the only one" in backbone.about["output"]


def test_the_scores_can_be_asked_for(tmp_path: Path) -> None:
    """FILE.onnx#logits: red minus green, and green minus red."""
    model = networks.classifier(tmp_path / "m.onnx", "result")

    assert_allclose(vectors(open_backbone(f"{model}#logits"), plain(255, 51, 0)), [[0.8, -0.8]], atol=1e-5)


def test_feature_maps_are_averaged(tmp_path: Path) -> None:
    """(B, C, h, w) becomes (B, C)."""
    pool = helper.make_node("AveragePool", ["picture"], ["features"], kernel_shape=[4, 4], strides=[4, 4])
    model = networks.save(tmp_path / "m.onnx", [pool], {"features": ("N", 3, 2, 2)}, metadata=SCALED)

    found = vectors(open_backbone(model), halves((255, 0, 0), (0, 255, 0)))

    assert_allclose(found, [[0.5, 0.5, 0.0]], atol=0.01)


def transposed(path: Path, *, back: bool) -> Path:
    """A model as converted from TensorFlow: channels last outside, first inside. back: last again at its end."""
    weights = {"last": np.zeros((5, 3, 1, 1), np.float32)}
    outputs: dict[str, tuple[int | str, ...]] = {"features": ("N", 4, 2, 3)} if back else {"logits": ("N", 5)}
    nodes = [
        helper.make_node("Transpose", ["picture"], ["inside"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["inside"], ["pool"], kernel_shape=[2, 4], strides=[2, 4]),
        helper.make_node("Relu", ["pool"], ["relu"]),  # (N, 3, 4, 2)
    ]
    if back:
        nodes.append(helper.make_node("Transpose", ["relu"], ["features"], perm=[0, 2, 3, 1]))
    else:
        nodes.append(helper.make_node("Conv", ["relu", "last"], ["map"]))
        nodes.append(helper.make_node("GlobalAveragePool", ["map"], ["pooled"]))
        nodes.append(helper.make_node("Flatten", ["pooled"], ["logits"]))
    return networks.save(path, nodes, outputs, weights, shape=("N", 8, 8, 3), metadata=SCALED)


@pytest.mark.parametrize("back", [False, True])
def test_feature_maps_are_averaged_over_the_picture_not_the_channels(tmp_path: Path, back: bool) -> None:
    """Inside a model, channels may be elsewhere than in its input."""
    backbone = open_backbone(transposed(tmp_path / "m.onnx", back=back))

    assert_allclose(vectors(backbone, plain(255, 51, 0)), [[1.0, 0.2, 0.0]], atol=1e-5)


def test_several_unnamed_outputs_are_a_question(tmp_path: Path) -> None:
    """The message lists them, and shows how to choose."""
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["one"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMax", ["picture"], ["two"], axes=[2, 3], keepdims=0),
    ]
    model = networks.save(tmp_path / "m.onnx", nodes, {"one": ("N", 3), "two": ("N", 3)}, metadata=SCALED)

    words = refusal(model)

    assert "has 2 outputs (one, two)" in words
    assert '{"output": "one"}' in words


# ---- ONNX: what is refused


def no_file(path: Path) -> None:
    """The model was moved."""


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("<html><body>404 Not Found</body></html>")


def pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")


def cut(path: Path) -> None:
    networks.classifier(path)
    path.write_bytes(path.read_bytes()[:-90])


def three_dimensions(path: Path) -> None:
    networks.save(
        path, [helper.make_node("ReduceMax", ["picture"], ["out"], axes=[2])], {"out": ("N", 3, 1)}, shape=("N", 3, 8)
    )


def grey(path: Path) -> None:
    networks.means(path, shape=("N", 1, 8, 8))


def wide_type(path: Path) -> None:
    networks.means(path, dtype="float64")


def one_number(path: Path) -> None:
    node = helper.make_node("ReduceMean", ["picture"], ["embedding"], keepdims=0)
    networks.save(path, [node], {"embedding": ()}, metadata=SCALED)


def misspelt_key(path: Path) -> None:
    networks.means(path, metadata=None)
    path.with_suffix(".json").write_text('{"scael": 1}')


def wrong_value(path: Path) -> None:
    networks.means(path, metadata=None)
    path.with_suffix(".json").write_text('{"scale": 1, "std": [1, 0, 1]}')


def no_scale(path: Path) -> None:
    networks.means(path)
    path.with_suffix(".json").write_text('{"mean": 127.5, "std": 127.5}')


def not_json(path: Path) -> None:
    networks.means(path, metadata=None)
    path.with_suffix(".json").write_text("scale = 1")


def unknown_output(path: Path) -> None:
    networks.means(path)
    path.with_suffix(".json").write_text('{"scale": 1, "output": "embeding"}')


def other_size(path: Path) -> None:
    networks.means(path)
    path.with_suffix(".json").write_text('{"scale": 1, "size": 224}')


def no_text(path: Path) -> None:
    networks.means(path)
    path.write_bytes(path.read_bytes().replace(b"embedding", b"embeddin\xff"))


def scaled_twice(path: Path) -> None:
    networks.means(path, dtype="uint8", metadata=None)
    path.with_suffix(".json").write_text('{"scale": 0.004}')


def lost_weights(path: Path) -> None:
    scale = {"two": np.full((1, 3, 1, 1), 2, np.float32)}
    node = helper.make_node("Mul", ["picture", "two"], ["features"])
    networks.save(path, [node], {"features": ("N", 3, 8, 8)}, scale, metadata=SCALED, external="m.data")
    (path.parent / "m.data").unlink()


REFUSED: dict[Callable[[Path], None], str] = {
    no_file: "There is no model",
    empty: "is empty",
    text: "is no ONNX file",
    pointer: "is a Git LFS pointer",
    cut: "it ends too early",
    three_dimensions: "has 3 dimensions (N, 3, 8)",
    grey: "(N, 1, 8, 8); expected 3 colour channels",
    wide_type: "takes tensor(double)",
    one_number: "expected one row of numbers for each",
    misspelt_key: "Did you mean 'scale'?",
    no_scale: 'no "scale"',
    wrong_value: "every number must be above 0",
    not_json: "can't be read",
    unknown_output: "Did you mean 'embedding'?",
    other_size: "takes 8 x 8 px",
    scaled_twice: "takes bytes, and scales them itself",
    no_text: "or damaged",
    lost_weights: "keeps its weights in 'm.data'",
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_a_model_that_does_not_fit_is_refused_in_plain_words(
    tmp_path: Path, make: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """Each message names the file and what was expected; onnxruntime prints nothing."""
    make(tmp_path / "m.onnx")

    words = refusal(tmp_path / "m.onnx")

    assert REFUSED[make] in words
    assert str(tmp_path / "m") in words
    assert capfd.readouterr() == ("", "")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    """Never opened in part, nor an error of Python."""
    whole = networks.classifier(tmp_path / "m.onnx", metadata=None).read_bytes()
    (tmp_path / "m.json").write_text('{"scale": 1}')

    for size in range(0, len(whole), 7):
        (tmp_path / "m.onnx").write_bytes(whole[:size])
        assert "m.onnx" in refusal(tmp_path / "m.onnx")


# ---- Identity


def test_the_same_file_elsewhere_is_the_same_model(tmp_path: Path) -> None:
    """Identity is of content: the cache survives a move."""
    (tmp_path / "elsewhere").mkdir()
    here = networks.means(tmp_path / "m.onnx")
    there = networks.means(tmp_path / "elsewhere" / "m.onnx")

    assert open_backbone(here).identity == open_backbone(there).identity


def test_whatever_changes_the_vectors_changes_the_identity(tmp_path: Path) -> None:
    """Weights in the file or beside it, range of numbers, output."""

    def identity(factor: float, notes: dict[str, Any], external: str = "") -> str:
        weights = {"factor": np.full((1, 3, 1, 1), factor, np.float32)}
        node = helper.make_node("Mul", ["picture", "factor"], ["features"])
        mean = helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0)
        networks.save(
            tmp_path / "m.onnx",
            [node, mean],
            {"features": ("N", 3, 8, 8), "mean": ("N", 3)},
            weights,
            external=external,
        )
        (tmp_path / "m.json").write_text(json.dumps(notes))
        return open_backbone(tmp_path / "m.onnx").identity

    found = [
        identity(1, {"scale": 1}),
        identity(2, {"scale": 1}),
        identity(1, {"scale": 2}),
        identity(1, {"scale": 1, "fit": "crop"}),
        identity(1, {"scale": 1, "output": "mean"}),
        identity(1, {"scale": 1}, "w.data"),
    ]
    (tmp_path / "w.data").unlink()
    found.append(identity(2, {"scale": 1}, "w.data"))

    assert len(set(found)) == len(found)
    assert all(one.startswith("m-") and len(one) == 18 for one in found)


def test_a_name_that_is_no_file_name_is_made_one(tmp_path: Path) -> None:
    """The identity names a folder of the cache."""
    assert open_backbone(networks.means(tmp_path / "my model (é).onnx")).identity.startswith("my_model_-")


# ---- Classifiers


def test_a_classifier_gives_probabilities_of_named_classes(tmp_path: Path) -> None:
    """Scores 0.8 and -0.8 are e^1.6 : 1, which is 0.832 : 0.168."""
    model = networks.classifier(tmp_path / "m.onnx")
    (tmp_path / "m.labels.txt").write_text("red\ngreen\n")

    found = open_classifier(model)

    assert found.classes == ["red", "green"]
    assert_allclose(found.probabilities(found.prepare(plain(255, 51, 0))[None]), [[0.832, 0.168]], atol=1e-3)


def test_the_scores_of_a_classifier_are_those_that_the_cache_keeps(tmp_path: Path) -> None:
    """Under the identity of MODEL.onnx#logits."""
    model = networks.classifier(tmp_path / "m.onnx")
    (tmp_path / "m.labels.txt").write_text("red\ngreen\n")

    found = open_classifier(model)

    assert found.identity == open_backbone(f"{model}#logits").identity
    assert_allclose(found.scores(found.prepare(plain(255, 51, 0))[None]), [[0.8, -0.8]], atol=1e-5)


def test_probabilities_are_left_as_they_are(tmp_path: Path) -> None:
    """A second softmax would make sure ones unsure."""
    model = networks.classifier(tmp_path / "m.onnx", "probabilities", softmax=True)
    (tmp_path / "m.labels.txt").write_text("red\ngreen\n")

    found = open_classifier(model)

    assert_allclose(found.probabilities(found.prepare(plain(255, 51, 0))[None]), [[0.832, 0.168]], atol=1e-3)


def test_labels_may_stand_in_the_metadata(tmp_path: Path) -> None:
    """As a JSON list, or one per line."""
    model = networks.classifier(tmp_path / "m.onnx", metadata={**SCALED, "labels": '["red", "green"]'})

    assert open_classifier(model).classes == ["red", "green"]


@pytest.mark.parametrize("labels", ['["red", "green"]', '"colours.txt"'])
def test_labels_may_stand_in_the_notes(tmp_path: Path, labels: str) -> None:
    """As a list, or as the name of a file beside them."""
    model = networks.classifier(tmp_path / "m.onnx")
    (tmp_path / "m.json").write_text(f'{{"scale": 1, "labels": {labels}}}')
    (tmp_path / "colours.txt").write_text("red\ngreen\n")

    assert open_classifier(model).classes == ["red", "green"]


def test_labels_that_are_not_as_many_as_scores_are_refused(tmp_path: Path) -> None:
    """Every prediction would be named wrong."""
    model = networks.classifier(tmp_path / "m.onnx")
    (tmp_path / "m.labels.txt").write_text("background\nred\ngreen\n")

    with pytest.raises(CurateError, match="gives 2 scores, but its list has 3 labels"):
        open_classifier(model)


def test_a_classifier_without_labels_is_refused(tmp_path: Path) -> None:
    """The message says where they are looked for."""
    with pytest.raises(CurateError) as refused:
        open_classifier(networks.classifier(tmp_path / "m.onnx"))

    assert "m.labels.txt" in refused.value.hint


# ---- Folders of Hugging Face and timm models


def test_without_torch_a_model_folder_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch is ten times the size of everything else, so it is an extra."""
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it now raises ImportError
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "model.safetensors").write_bytes(b"")

    assert "pip install 'curate[torch]'" in refusal(tmp_path)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    """Before torch is asked for."""
    assert "has no config.json" in refusal(tmp_path)


def test_weights_in_pickles_are_refused(tmp_path: Path) -> None:
    """Opening one can run anything."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")

    assert "pickles" in refusal(tmp_path)


NORMALIZED = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
FRAMES: dict[str, tuple[dict[str, Any], str]] = {
    "ViT": ({"size": {"height": 16, "width": 24}}, "24 x 16 px, stretched, RGB"),
    "an old ViT": ({"size": 24}, "24 x 24 px, stretched, RGB"),
    "DINOv2": (
        {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True},
        "224 x 224 px, 88% of the middle, RGB",
    ),
    "DeiT": (
        {"size": {"height": 256, "width": 256}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True},
        "224 x 224 px, 88% of the middle, stretched, RGB",
    ),
    "an old CLIP": ({"size": 224, "crop_size": 224, "do_center_crop": True}, "224 x 224 px, 100% of the middle, RGB"),
    "ConvNeXt": ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, "224 x 224 px, 88% of the middle, RGB"),
    "a large ConvNeXt": ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, "384 x 384 px, stretched, RGB"),
    "MobileViT": (
        {"size": {"shortest_edge": 256}, "do_flip_channel_order": True},
        "256 x 256 px, 100% of the middle, BGR",
    ),
}


@pytest.mark.parametrize("model", FRAMES)
def test_pictures_are_framed_as_the_image_processor_does(tmp_path: Path, model: str) -> None:
    """What transformers' own processors make of these settings was compared with it once; torch is not needed."""
    given, expected = FRAMES[model]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**given, **NORMALIZED}))

    found, _ = read_hugging_face(tmp_path)

    assert found.describe() == f"{expected}, NCHW, float32"


def test_models_of_pictures_and_text_say_it_in_another_file(tmp_path: Path) -> None:
    """As transformers 5 saves them."""
    given = {"image_processor": {"size": {"height": 16, "width": 16}, **NORMALIZED}}
    (tmp_path / "processor_config.json").write_text(json.dumps(given))

    found, file = read_hugging_face(tmp_path)

    assert (found.height, file) == (16, "processor_config.json")


def test_a_folder_that_asks_for_unknown_steps_is_refused(tmp_path: Path) -> None:
    """Leaving a step out would quietly make the vectors worse."""
    given = {"size": {"height": 16, "width": 16}, "do_pad": True, **NORMALIZED}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(given))

    with pytest.raises(CurateError, match="that curate does not know: do_pad"):
        read_hugging_face(tmp_path)


def test_a_timm_model_may_squash(tmp_path: Path) -> None:
    """Most cut the middle out."""
    given = {"input_size": [3, 378, 378], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0, "crop_mode": "squash"}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "vit", "pretrained_cfg": given}))

    assert read_timm(tmp_path)[0].describe() == "378 x 378 px, stretched, RGB, NCHW, float32"


def save_vit(folder: Path, kind: str) -> Path:
    """A tiny vision transformer of random weights, with its preprocessing."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8
    )
    getattr(transformers, kind)(config).save_pretrained(folder)
    steps = {"size": {"height": 16, "width": 16}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(steps))
    return folder


@pytest.mark.skipif(not HAS_TORCH, reason="needs torch and transformers")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs
@pytest.mark.parametrize("kind", ["ViTModel", "ViTForImageClassification"])
def test_a_hugging_face_folder_gives_the_same_vectors_each_time(tmp_path: Path, kind: str) -> None:
    """A classifier has no pooler: transformers would add one of random numbers, other ones each time."""
    folder = save_vit(tmp_path / "vit", kind)
    image = open_image(PICTURES[0])

    one, two = vectors(open_backbone(folder), image), vectors(open_backbone(folder), image)

    assert one.shape == (1, 16)
    assert_allclose(one, two)


@pytest.mark.skipif(not HAS_TORCH, reason="needs torch and transformers")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs
def test_a_folder_that_does_not_tell_its_preprocessing_is_refused(tmp_path: Path) -> None:
    """As with ONNX, nothing is guessed."""
    folder = save_vit(tmp_path / "vit", "ViTModel")
    (folder / "preprocessor_config.json").write_text("{}")

    assert "does not tell how pictures are prepared" in refusal(folder)


@pytest.mark.skipif(not HAS_TORCH, reason="needs torch and transformers")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # theirs
def test_code_of_a_folder_is_neither_run_nor_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone, transformers asks on the terminal whether it may."""
    folder = save_vit(tmp_path / "vit", "ViTModel")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'was_run')!r}, 'w')\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")

    assert "can't be loaded" in refusal(folder)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.skipif(not HAS_TORCH, reason="needs torch and timm")
@pytest.mark.filterwarnings("ignore")  # theirs
def test_a_timm_folder_gives_what_goes_into_its_last_layer(tmp_path: Path) -> None:
    """512 numbers of a small ResNet, not the seven scores; prepared as its config says."""
    try:
        import timm
    except Exception as error:  # noqa: BLE001  a torchvision made for another torch raises RuntimeError
        pytest.skip(f"timm can't be imported: {error}")
    network = timm.create_model("resnet10t", num_classes=7)
    timm.models.save_for_hf(network, tmp_path / "small", safe_serialization=True)

    backbone = open_backbone(tmp_path / "small")

    assert vectors(backbone, open_image(PICTURES[0])).shape == (1, 512)
    assert "176 x 176 px, 88% of the middle" in backbone.about["input"]


# ---- What all share


def test_a_vector_does_not_depend_on_what_else_is_in_the_batch(tmp_path: Path) -> None:
    """Else a resumed run would give other vectors than one that was never killed."""
    images = [open_image(data) for data in PICTURES[:5]]
    for spec in ("builtin", str(networks.classifier(tmp_path / "m.onnx"))):
        backbone = open_backbone(spec)

        together = vectors(backbone, *images)
        alone = np.concatenate([vectors(backbone, image) for image in images])

        assert_allclose(together, alone, atol=1e-4)


def test_describe_tells_what_a_model_takes_and_gives(tmp_path: Path, curate: Curate) -> None:
    """Within 80 columns."""
    model = networks.classifier(tmp_path / "m.onnx")

    done = curate("models", "describe", model)

    assert done.code == 0
    assert "8 x 8 px, stretched, RGB, NCHW, float32" in done.out
    assert "from the model's metadata" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_library_can_ask_the_same(tmp_path: Path) -> None:
    """Labels and metadata are shown in part."""
    metadata = {"input_scale": "1", "labels": '["a", "b", "c", "d"]', "made_by": "hand", "license": "MIT"}
    model = networks.classifier(tmp_path / "m.onnx", metadata=metadata)

    said = describe(model)

    assert (said["name"], said["dimensions"], said["labels"]) == ("m.onnx", 3, "4: a; b; c; …")
    assert (said["licence"], said["metadata"]) == ("MIT", "input_scale = 1; made_by = hand")


def test_only_onnx_files_have_outputs_to_choose(tmp_path: Path) -> None:
    """Rather than quietly taking another one."""
    assert "only of an ONNX file" in refusal("builtin#logits")
    assert "only of an ONNX file" in refusal(f"{tmp_path}#logits")


def test_an_unknown_model_is_an_error_that_lists_what_there_is(curate: Curate) -> None:
    """The command line prints it without a traceback."""
    done = curate("models", "describe", "resnet50")

    assert done.code == 2
    assert "There is no model 'resnet50'" in done.err
    assert "builtin" in done.err
