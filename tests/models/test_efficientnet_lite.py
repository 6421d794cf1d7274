"""Our EfficientNet-Lite networks are the published ones."""

from __future__ import annotations

import contextlib
import io
import math

import pytest

from alearn.models.zoo import LITE0, LITE1, LITE2, Packaged

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not LITE0.installed, reason="needs alearn[offline]")

# The first logits, their sum and the best class for `_waves()`, by efficientnet_lite_pytorch 0.1.0 with these weights.
REFERENCE = (-0.62546, 0.72242, -0.88509, -0.51336, -1.76007, 1.46711, -0.26837, 1.48669)
REFERENCE_SUM, REFERENCE_BEST = -87.98184, 767

RECORDED = (
    (LITE1, (-1.53846, 1.92647, -0.01986, -1.16434), 418),
    (LITE2, (0.35267, 0.93728, -0.27100, -1.68359), 767),
)
"""The first logits and the best class of the larger variants, by the same package for the same picture."""


def _waves(size: int = 224) -> object:
    side = range(size)
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


@pytest.mark.parametrize("number", range(3))
def test_the_logits_equal_the_reference_implementation_where_it_is_installed(number: int) -> None:
    """To 1e-5 on random pixels, for every variant."""
    from alearn.models import efficientnet_lite

    reference = pytest.importorskip("efficientnet_lite_pytorch", reason="pip install efficientnet_lite_pytorch")
    name, path = f"efficientnet-lite{number}", str((LITE0, LITE1, LITE2)[number].path())
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = reference.EfficientNet.from_pretrained(name, weights_path=path).eval()
    variant = efficientnet_lite.VARIANTS[name]
    # It pads for one size of pictures.
    x = torch.randn(2, 3, variant.size, variant.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours = efficientnet_lite.load_file(path, variant)(x)
        assert float((ours - theirs(x)).abs().max()) < 1e-5


@pytest.mark.parametrize(("weights", "first", "best"), RECORDED)
def test_the_larger_variants_give_what_the_reference_implementation_gives(
    weights: Packaged, first: tuple[float, ...], best: int
) -> None:
    """Recorded from the package that the weights were published with; every weight of the file has its place."""
    from alearn.models import efficientnet_lite

    if not weights.installed:
        pytest.skip("needs alearn[offline]")
    variant = efficientnet_lite.VARIANTS[f"efficientnet-lite{1 if weights is LITE1 else 2}"]
    with torch.inference_mode():
        logits = efficientnet_lite.load_file(str(weights.path()), variant)(_waves(variant.size))[0]
    assert logits[:4].tolist() == pytest.approx(first, abs=2e-4)
    assert int(logits.argmax()) == best


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
