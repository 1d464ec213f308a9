"""Train the small backbone of the wheel: a student that learns to see as a larger network does.

    python training/backbone/photographs.py --out PHOTOS                          (fetches them, see there)
    python training/backbone/train.py train --data ../shared/data --photos PHOTOS --work WORK     (again: goes on)
    python training/backbone/train.py export --work WORK --out backbone.onnx      (at any time: the weights so far)

The student starts from random weights. For random crops of photographs it is shown the answers of a MobileNetV2, both
its embedding and its scores, and learns to give them; no label is used. Pictures of the sets that judge the result are
left out, see sources.py.

Crops and answers are made once, in rounds of one crop per picture, and kept in WORK. An epoch goes through one round.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from sources import SEED, training_pictures

SIDE_PX = 96
STORED_PX = 104  # so that the student's view can be shifted
TEACHER_PX = 224
TEACHER_DIMENSIONS, TEACHER_CLASSES = 1280, 1001
ROUNDS = 8  # different crops of each picture; after so many epochs they come again

STEM = 32
STAGES = ((48, 1), (96, 1), (192, 2))  # channels, blocks; the first block of each halves the size
DIMENSIONS = 512

BATCH = 128
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.05
WARM_UP = 20_000  # samples
COOL_DOWN = 0.3  # the last share of all samples, in which the learning rate falls to 0
SCORES_WEIGHT = 0.2  # of the scores beside the embedding
AVERAGED_OVER = 50_000  # samples: the weights that are exported are a moving average
SAVE_EVERY_S = 120
COARSE = 0.2  # share of views made of few px; without, vectors of enlarged pictures of 32 px are the worse for training


Bytes = NDArray[np.uint8]


# ---- Rounds: one crop of each picture, and what the teacher says of it


def make_round(number: int, pictures: list[Path], teacher: Path, work: Path) -> None:
    """Write the crops (N, STORED_PX, STORED_PX, 3), embeddings (N, 1280) and scores (N, 1001) of one round."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(teacher), options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng([SEED, number])
    crops = np.empty((len(pictures), STORED_PX, STORED_PX, 3), np.uint8)
    embeddings = np.empty((len(pictures), TEACHER_DIMENSIONS), np.float16)
    scores = np.empty((len(pictures), TEACHER_CLASSES), np.float16)
    for start in range(0, len(pictures), 32):
        rows = slice(start, start + 32)
        views = [_view(path, random) for path in pictures[rows]]
        crops[rows] = np.stack([small for small, _ in views])
        large = np.stack([large for _, large in views]).transpose(0, 3, 1, 2).astype(np.float32)
        said = session.run(["embedding", "logits"], {"input": (large - 127.5) / 127.5})
        embeddings[rows], scores[rows] = (one.reshape(len(views), -1) for one in said)
    for name, array in (("crops", crops), ("embeddings", embeddings), ("scores", scores)):
        _save_array(work / f"{name}_{number}.npy", array)


def _view(path: Path, random: np.random.Generator) -> tuple[Bytes, Bytes]:
    """A random crop in the sizes of student and teacher; .35 to 1 of the area, .75 to 1.33 in shape."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    area = random.uniform(0.35, 1) * image.width * image.height
    shape = np.exp(random.uniform(np.log(0.75), np.log(1.33)))
    width, height = min(image.width, np.sqrt(area * shape)), min(image.height, np.sqrt(area / shape))
    left, top = random.uniform(0, image.width - width), random.uniform(0, image.height - height)
    box = (left, top, left + width, top + height)
    small, large = (
        np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box)) for side in (STORED_PX, TEACHER_PX)
    )
    return small, large


def _save_array(file: Path, array: NDArray[Any]) -> None:
    draft = file.with_suffix(".draft")
    with draft.open("wb") as stream:
        np.save(stream, array)
    draft.replace(file)  # a killed run leaves no half round


def batches(epoch: int, work: Path, skip: int) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Augmented crops, embeddings and scores of an epoch, from batch number `skip` on."""
    number = epoch % ROUNDS
    crops, embeddings, scores = (
        np.load(work / f"{name}_{number}.npy", mmap_mode="r") for name in ("crops", "embeddings", "scores")
    )
    order = np.random.default_rng([SEED, epoch, 1]).permutation(len(crops))
    for batch in range(skip, len(order) // BATCH):
        rows = np.sort(order[batch * BATCH : (batch + 1) * BATCH])
        inputs = augment(crops[rows], np.random.default_rng([SEED, epoch, batch, 2]))
        yield inputs, torch.from_numpy(embeddings[rows]).float(), torch.from_numpy(scores[rows]).float()


def augment(crops: Bytes, random: np.random.Generator) -> torch.Tensor:
    """(B, STORED_PX, STORED_PX, 3) -> (B, 3, SIDE_PX, SIDE_PX) in 0..255: shifted, mirrored, coarse, dyed, erased."""
    count, room = len(crops), STORED_PX - SIDE_PX
    views = np.empty((count, SIDE_PX, SIDE_PX, 3), np.float32)
    for view, crop, (top, left), mirrored in zip(
        views, crops, random.integers(0, room + 1, (count, 2)), random.random(count) < 0.5, strict=True
    ):
        seen = crop[top : top + SIDE_PX, left : left + SIDE_PX]
        view[:] = seen[:, ::-1] if mirrored else seen
    for row in np.flatnonzero(random.random(count) < COARSE):
        views[row] = _coarse(views[row], int(random.integers(24, 64)))
    gain = random.uniform(0.75, 1.25, (count, 1, 1, 1)) * random.uniform(0.92, 1.08, (count, 1, 1, 3))
    views = np.clip(views * gain.astype(np.float32) + random.uniform(-20, 20, (count, 1, 1, 1)), 0, 255)
    for row in np.flatnonzero(random.random(count) < 0.25):
        height, width = random.integers(12, 40, 2)
        top, left = random.integers(0, SIDE_PX - height), random.integers(0, SIDE_PX - width)
        views[row, top : top + height, left : left + width] = 127.5
    return torch.from_numpy(views.astype(np.float32)).permute(0, 3, 1, 2)  # in memory as it was: channels last


def _coarse(view: NDArray[np.float32], side: int) -> Bytes:
    """A view as if the picture had had so few px: thumbnails and CIFAR are enlarged like this."""
    small = Image.fromarray(view.astype(np.uint8)).resize((side, side), Image.Resampling.BOX)
    return np.asarray(small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))


# ---- The student


class Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, inward: int, outward: int, stride: int) -> None:
        super().__init__()
        self.first = convolution(inward, outward, 3, stride)
        self.second = convolution(outward, outward, 3, 1)
        self.shortcut = convolution(inward, outward, 1, 1) if stride > 1 else None
        self.halve = nn.AvgPool2d(2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        beside = maps if self.shortcut is None else self.shortcut(self.halve(maps))
        return torch.relu(self.second(torch.relu(self.first(maps))) + beside)


def convolution(inward: int, outward: int, size: int, stride: int) -> nn.Sequential:
    """A convolution and the batch norm that the export folds into it."""
    return nn.Sequential(nn.Conv2d(inward, outward, size, stride, size // 2, bias=False), nn.BatchNorm2d(outward))


class Student(nn.Module):
    """(B, 3, SIDE_PX, SIDE_PX) in 0..255 -> (B, DIMENSIONS), each 0 or more."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(3, STEM, 3, 2)
        blocks, inward = [], STEM
        for outward, count in STAGES:
            blocks += [Block(inward if first else outward, outward, 2 if first else 1) for first in _firsts(count)]
            inward = outward
        self.blocks = nn.Sequential(*blocks)
        self.last = convolution(inward, DIMENSIONS, 1, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        maps = self.blocks(torch.relu(self.stem((pixels - 127.5) / 127.5)))
        return torch.relu(self.last(maps)).mean(dim=(2, 3))


def _firsts(count: int) -> list[bool]:
    return [number == 0 for number in range(count)]


class Pupil(nn.Module):
    """The student with what it needs only while it learns: the teacher's embedding and scores from its own."""

    def __init__(self) -> None:
        super().__init__()
        self.student = Student()
        self.embedding = nn.Linear(DIMENSIONS, TEACHER_DIMENSIONS)
        self.scores = nn.Linear(DIMENSIONS, TEACHER_CLASSES)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self.student(pixels)
        return self.embedding(seen), self.scores(seen)


# ---- Learning


def train(data: Path, photos: Path | None, work: Path, samples: int, bfloat16: bool) -> None:
    """Learn until that many samples were seen; goes on from WORK/checkpoint.pt if there is one."""
    work.mkdir(parents=True, exist_ok=True)
    pictures = _chosen(data, photos, work)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(SEED)
    pupil = Pupil().to(device, memory_format=torch.channels_last)
    state = {**_start(pupil, work, device), "bfloat16": bfloat16}
    while state["seen"] < samples:
        if not (work / f"scores_{state['epoch'] % ROUNDS}.npy").exists():  # the last of the three
            started = time.monotonic()
            make_round(state["epoch"] % ROUNDS, pictures, data / "models/mobilenetv2.onnx", work)
            _log(work, f"round {state['epoch'] % ROUNDS}: {len(pictures) / (time.monotonic() - started):.0f} views/s")
        _learn_epoch(pupil, state, work, samples, device)
        save(pupil, state, work)
    _log(work, f"done: {state['seen']} samples")


def _chosen(data: Path, photos: Path | None, work: Path) -> list[Path]:
    """The training pictures; WORK/pictures.json keeps the list that its rounds were made of."""
    file = work / "pictures.json"
    if not file.exists():
        names = [path.absolute().as_posix() for path in training_pictures(data, photos)]
        file.write_text(json.dumps(names), encoding="utf-8")
    return [Path(name) for name in json.loads(file.read_text(encoding="utf-8"))]


def _start(pupil: Pupil, work: Path, device: torch.device) -> dict[str, Any]:
    """All that a checkpoint holds beside the weights; fresh, or as it was saved."""
    decayed = [one for one in pupil.parameters() if one.ndim > 1]
    others = [one for one in pupil.parameters() if one.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    state: dict[str, Any] = {"optimizer": torch.optim.AdamW(groups, lr=0.0), "averaged": copy.deepcopy(pupil.student)}
    file = work / "checkpoint.pt"
    if not file.exists():
        return {**state, "epoch": 0, "batch": 0, "seen": 0}
    saved = torch.load(file, map_location=device, weights_only=True)
    pupil.load_state_dict(saved["pupil"])
    state["optimizer"].load_state_dict(saved["optimizer"])
    state["averaged"].load_state_dict(saved["averaged"])
    return {**state, **{key: saved[key] for key in ("epoch", "batch", "seen")}}


def save(pupil: Pupil, state: dict[str, Any], work: Path) -> None:
    """Write WORK/checkpoint.pt, whole or not at all."""
    draft = work / "checkpoint.draft"
    kept = {key: state[key].state_dict() for key in ("optimizer", "averaged")}
    kept |= {"pupil": pupil.state_dict()}
    torch.save({**kept, **{key: state[key] for key in ("epoch", "batch", "seen")}}, draft)
    draft.replace(work / "checkpoint.pt")


def _learn_epoch(pupil: Pupil, state: dict[str, Any], work: Path, samples: int, device: torch.device) -> None:
    centre, spread = (torch.from_numpy(one).to(device) for one in _standard(work))
    pupil.train()
    saved = logged = time.monotonic()
    for inputs, embeddings, scores in batches(state["epoch"], work, state["batch"]):
        for group in state["optimizer"].param_groups:
            group["lr"] = learning_rate(state["seen"], samples)
        with torch.autocast(device.type, torch.bfloat16, enabled=state["bfloat16"]):
            said, guessed = (out.float() for out in pupil(inputs.to(device)))
        near = (said - (embeddings.to(device) - centre) / spread).square().mean()
        wanted = scores.to(device).softmax(dim=1)
        apart = nn.functional.kl_div(guessed.log_softmax(dim=1), wanted, reduction="batchmean")
        state["optimizer"].zero_grad()
        (near + SCORES_WEIGHT * apart).backward()
        state["optimizer"].step()
        state["seen"] += len(inputs)
        state["batch"] += 1
        _average(state["averaged"], pupil.student, state["seen"])
        if state["batch"] % 20 == 0:
            speed, logged = 20 * BATCH / (time.monotonic() - logged), time.monotonic()
            _log(work, f"{state['seen']:8} mse {near:.4f} kl {apart:.3f} {speed:.0f}/s")
        if time.monotonic() - saved > SAVE_EVERY_S:
            save(pupil, state, work)
            saved = time.monotonic()
        if state["seen"] >= samples:
            return
    state["epoch"], state["batch"] = state["epoch"] + 1, 0


def learning_rate(seen: int, samples: int) -> float:
    """Rising, level, falling. Level in between, so that a run can be ended sooner or later than was planned."""
    left = (samples - seen) / (COOL_DOWN * samples)
    return LEARNING_RATE * max(0.0, min(1.0, (seen + BATCH) / WARM_UP, left))


def _average(averaged: Student, student: Student, seen: int) -> None:
    """Move the averaged weights toward the student's; sooner at first, as early weights are worth little."""
    share = BATCH / min(AVERAGED_OVER, max(seen / 4, BATCH))
    with torch.no_grad():
        for mean, value in zip(averaged.state_dict().values(), student.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, share)
            else:
                mean.copy_(value)


def _standard(work: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and spread of each number of the teacher's embedding, (1280,), over the first round."""
    embeddings = np.load(work / "embeddings_0.npy").astype(np.float32)
    return embeddings.mean(axis=0), embeddings.std(axis=0) + np.float32(1e-3)


def _log(work: Path, line: str) -> None:
    text = f"{time.strftime('%H:%M:%S')} {line}"
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    with (work / "log.txt").open("a", encoding="utf-8") as stream:
        stream.write(text + "\n")


# ---- The file


def export(work: Path, out: Path) -> None:
    """Write the averaged weights as an ONNX file: 8-bit weights, which onnxruntime makes floats of as it loads them."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    saved = torch.load(work / "checkpoint.pt", map_location="cpu", weights_only=True)
    student = Student()
    student.load_state_dict(saved["averaged"])
    student.eval()
    nodes, weights = _graph(student)
    graph = helper.make_graph(
        nodes,
        "backbone",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIDE_PX, SIDE_PX, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSIONS])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"license": "Apache-2.0", "source": f"curate, {saved['seen']} samples"})
    onnx.checker.check_model(model, full_check=True)
    out.write_bytes(model.SerializeToString())
    _compare(student, out)


def _graph(student: Student) -> tuple[list[Any], dict[str, NDArray[Any]]]:
    """Nodes and weights of the ONNX graph from "image" to "embedding"."""
    from onnx import helper

    nodes: list[Any] = []
    weights: dict[str, NDArray[Any]] = {
        "middle": np.full(1, 127.5, np.float32),
        "reach": np.full(1, 1 / 127.5, np.float32),
    }

    def add(kind: str, inputs: list[str], output: str, **settings: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **settings))
        return output

    def convolve(module: nn.Sequential, taken: str, name: str) -> str:
        kernel, bias = _folded(module)
        scale = np.maximum(np.abs(kernel).max(axis=(1, 2, 3), keepdims=True) / 127, 1e-12).astype(np.float32)
        weights[f"{name}_8bit"] = np.rint(kernel / scale).astype(np.int8)
        weights[f"{name}_scale"], weights[f"{name}_bias"] = scale, bias
        floats = add("Cast", [f"{name}_8bit"], f"{name}_cast", to=1)
        scaled = add("Mul", [floats, f"{name}_scale"], f"{name}_kernel")
        conv, pad = module[0], module[0].padding[0]
        return add("Conv", [taken, scaled, f"{name}_bias"], name, strides=list(conv.stride), pads=[pad] * 4)

    maps = add("Cast", ["image"], "numbers", to=1)
    maps = add("Transpose", [maps], "planes", perm=[0, 3, 1, 2])
    maps = add("Mul", [add("Sub", [maps, "middle"], "centred"), "reach"], "scaled")
    maps = add("Relu", [convolve(student.stem, maps, "stem")], "stem_out")
    for number, block in enumerate(student.blocks):
        name = f"block{number}"
        first = add("Relu", [convolve(block.first, maps, f"{name}_first")], f"{name}_between")
        if block.shortcut is not None:
            maps = add("AveragePool", [maps], f"{name}_halved", kernel_shape=[2, 2], strides=[2, 2])
            maps = convolve(block.shortcut, maps, f"{name}_shortcut")
        both = add("Add", [convolve(block.second, first, f"{name}_second"), maps], f"{name}_both")
        maps = add("Relu", [both], f"{name}_out")
    maps = add("Relu", [convolve(student.last, maps, "last")], "last_out")
    add("Flatten", [add("GlobalAveragePool", [maps], "pooled")], "embedding", axis=1)
    return nodes, weights


def _folded(module: nn.Sequential) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel and bias of a convolution with its batch norm in it."""
    conv, norm = module[0], module[1]
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    kernel = conv.weight * factor[:, None, None, None]
    bias = norm.bias - norm.running_mean * factor
    return kernel.detach().numpy(), bias.detach().numpy()


def _compare(student: Student, file: Path) -> None:
    """Print what the file weighs, and how near it is to the student in float on random squares."""
    import onnxruntime

    coarse = np.random.default_rng(SEED).integers(0, 256, (16, 12, 12, 3), np.uint8)
    pixels = coarse.repeat(8, axis=1).repeat(8, axis=2)
    found = onnxruntime.InferenceSession(str(file)).run(None, {"image": pixels})[0]
    with torch.no_grad():
        wanted = student(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).numpy()
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    cosine = (found * wanted).sum(axis=1) / lengths
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    size = f"{file.stat().st_size:,} bytes"
    sys.stdout.write(f"{file}: {size}, cosine to float {cosine.min():.5f}, sha256 {digest}\n")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("train", "export"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--photos", type=Path, help="folder of further photographs")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=1_000_000, help="crops to learn from, in all")
    parser.add_argument(
        "--bfloat16", action="store_true", help="twice as fast where the processor has it (avx512_bf16)"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("backbone.onnx"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    if asked.task == "train":
        train(asked.data, asked.photos, asked.work, asked.samples, asked.bfloat16)
    else:
        export(asked.work, asked.out)


if __name__ == "__main__":
    main()
