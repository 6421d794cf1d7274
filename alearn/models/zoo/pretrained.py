"""What a name in a config stands for, before anything of it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alearn.core.schema import DataKind
from alearn.errors import ModelError
from alearn.models.zoo.packaged import Packaged

if TYPE_CHECKING:
    from alearn.models.graphs import Exported, Output
    from alearn.models.networks import Network


@dataclass(frozen=True)
class Pretrained:
    """A network and where its weights come from.

    `size` is the side of the square that images are resized to unless a config says otherwise; None for texts, and
    where only the network itself knows. `identity` names the weights without loading them, and raises ModelError where
    they are missing. `network` loads it for a size of images; None: the grey pixels, which need none. `parameters`
    counts the trunk's; 0: told by the export. `architecture` loads the same network with the weights of a file, or with
    random ones; None: there is no such thing. `packaged` is the installed file that the weights are in, if they are.
    """

    name: str
    data: DataKind
    licence: str
    source: str
    size: int | None
    parameters: int
    identity: Callable[[], str]
    network: Callable[[int | None], Network] | None
    architecture: Callable[[int | None, Path | Literal["random"]], Network] | None = None
    packaged: Packaged | None = None

    def export(
        self, folder: Path, size: int | None, taps: Sequence[str] = (), output: Output = "embedding"
    ) -> Exported:
        """Write `trunk.onnx`, and `tokenizer.json` for texts, into a folder for a size of images.

        Raises:
            ModelError: the weights cannot be had, there is no such tap, or the network gives no embeddings.
        """
        if self.network is None:
            from alearn.models import graphs

            if taps not in ((), ("network",)) or output != "embedding":
                raise ModelError(f"{self.name} has no taps, because it is no network. Name another network.")
            return graphs.export_pixels(folder, size or 16)
        from alearn.models import networks

        return networks.export(self.network(size), folder, taps, output)
