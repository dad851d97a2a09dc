"""A tiny CLIP and ten images to classify."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from tdir.heads._clip import HEADER, network

CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 16, "width": 16, "heads": 2, "layers": 1},
}


def write_clip(file: Path) -> Path:
    """Untrained, as ``tdir train-head`` writes it."""
    torch.manual_seed(0)
    described = {"model_cfg": _CLIP, "preprocess_cfg": {}, "names": CIFAR}
    tensors = {name: value.contiguous() for name, value in network(_CLIP, "a test").state_dict().items()}
    save_file(tensors, file, {HEADER: json.dumps(described)})
    return file


def write_cifar(root: Path) -> Path:
    """One image of noise of each class, to train with and to score on."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR) + "\n")
    rng = np.random.default_rng(0)
    records = [bytes([label]) + rng.integers(0, 256, 3072, dtype=np.uint8).tobytes() for label in range(10)]
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (folder / name).write_bytes(b"".join(records))
    return root
