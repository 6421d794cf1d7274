"""Our EfficientNet-Lite0 is the published one."""

from __future__ import annotations

import contextlib
import io
import math

import pytest

from alearn.models.zoo import LITE0

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not LITE0.installed, reason="needs alearn[offline]")

# The first logits, their sum and the best class for `_waves()`, by efficientnet_lite_pytorch 0.1.0 with these weights.
REFERENCE = (-0.62546, 0.72242, -0.88509, -0.51336, -1.76007, 1.46711, -0.26837, 1.48669)
REFERENCE_SUM, REFERENCE_BEST = -87.98184, 767


def _waves() -> object:
    side = range(224)
    return torch.tensor([[[[math.sin(0.1 * i + 0.05 * j + c) for j in side] for i in side] for c in range(3)]])


def _network() -> object:
    from alearn.models import efficientnet_lite

    return efficientnet_lite.load_file(str(LITE0.path()))


def test_the_logits_are_those_of_the_reference_implementation() -> None:
    """Recorded from the package that the weights were published with."""
    with torch.inference_mode():
        logits = _network()(_waves())[0]
    assert logits[:8].tolist() == pytest.approx(REFERENCE, abs=2e-4)
    assert float(logits.sum()) == pytest.approx(REFERENCE_SUM, abs=1e-2)
    assert int(logits.argmax()) == REFERENCE_BEST


def test_the_logits_equal_the_reference_implementation_where_it_is_installed() -> None:
    """To 1e-5 on random pixels."""
    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="pip install efficientnet_lite_pytorch")
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = reference.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=str(LITE0.path())).eval()
    x = torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert float((_network()(x) - theirs(x)).abs().max()) < 1e-5


def test_a_photo_of_a_flower_is_called_a_daisy() -> None:
    """With the normalisation of the zoo; ImageNet's usual one makes it a honeycomb."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    image = Image.fromarray(load_sample_image("flower.jpg")).resize((224, 224), Image.Resampling.BICUBIC)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, 224, 224, 3)
    with torch.inference_mode():
        logits = _network()((pixels.permute(0, 3, 1, 2) / 255 - 127 / 255) / (128 / 255))
    assert int(logits.argmax()) == 985


def test_a_state_dict_of_another_network_is_refused() -> None:
    """Nothing is loaded in part."""
    from alearn.models import efficientnet_lite

    state = torch.load(LITE0.path(), weights_only=True)
    del state["_fc.bias"]
    with pytest.raises(RuntimeError, match=r"classifier\.bias"):
        efficientnet_lite.load(state)
