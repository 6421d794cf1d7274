"""`alearn init`: a config for somebody's own items, with every line explained."""

from __future__ import annotations

import re
from pathlib import Path

import typer
import yaml

from alearn.config import parse
from alearn.errors import ConfigError

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

TEMPLATE = """\
# A loop of alearn. `alearn run {file}` starts it, and goes on with it after any stop.
name: {name}

items:
  path: {path}            # a folder, a .csv, .jsonl or .parquet file, or a URL (s3://...)
  # group_column: patient # items with the same value are never split between training and hold-out

task:
  type: classification
  data: {data}
  classes: {classes}
  question: ""            # shown above every item

model:
  name: auto              # a pretrained network that suits the data; `alearn config schema` says what else

query:
  batch: 32               # new labels per round

holdout:
  size: 200               # labels that measure the model and are never trained on

target:                   # the loop stops when the lower confidence bound on the hold-out passes this
  metric: accuracy
  value: 0.9

budget:
  labels: 2000            # or when so many labels are spent

platform:
  name: label-studio      # `alearn label-studio up` starts a private one; or set options.url and LABEL_STUDIO_API_KEY
"""


def write_config(source: str, *, classes: str, data: str, name: str, out: Path) -> None:
    """Write the file; raises ConfigError, and writes nothing, when it exists or would not be sound."""
    if out.exists():
        raise ConfigError(f"{out} must not exist yet, so that nothing is overwritten. Name another with --out.")
    names = [part.strip() for part in classes.split(",") if part.strip()]
    text = TEMPLATE.format(
        file=out.name,
        name=name or _name(out.resolve().parent.name),
        path=_written(source),
        data=data or _guess(source),
        classes=_written(names),
    )
    parse(yaml.safe_load(text), name=out.name, folder=out.resolve().parent)
    out.write_text(text, encoding="utf-8")
    typer.echo(f"Wrote {out}. Next: alearn label-studio up, then alearn run {out}")


def _name(folder: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", folder.lower()).strip("-._")[:63] or "loop"


def _written(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _guess(source: str) -> str:
    """Images when a folder holds some, text for files of rows."""
    path = Path(source)
    if not path.is_dir():
        return "text"
    return "image" if any(one.suffix.lower() in IMAGES for one in path.rglob("*")) else "text"
