"""`alearn init`: a config for somebody's own items, with every line explained."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import typer
import yaml

from alearn.cli.console import emit
from alearn.config import parse
from alearn.errors import ConfigError

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
TABLES = {".csv", ".jsonl", ".parquet"}

TEMPLATE = """\
# A loop of alearn. `alearn run {file}` starts it, and goes on with it after any stop.
name: {name}

items:
  path: {path}            # a folder, a .csv, .jsonl or .parquet file, or a URL (s3://...); from this file's folder
  # group_column: patient # items with the same value are never split between training and hold-out

task:
  type: classification
  data: {data}
  classes: {classes}
  question: ""            # shown above every item

model:
  name: auto              # a pretrained network that suits the data; `alearn config schema` names others

query:
  batch: 32               # new labels per round

holdout:
  size: 200               # labels that measure the model and are never trained on; a target needs 30

target:                   # the loop stops when the lower confidence bound on the hold-out passes this
  metric: accuracy
  value: 0.9

budget:
  labels: 2000            # or when so many labels are spent
  # money: 300            # or so much money, of what `costs` says

# costs:                  # what `alearn status` and the forecast reckon money from
#   annotation: 0.08      # each that is submitted, second opinions included
#   hour: 35              # an annotator's hour; both may be set
#   currency: EUR

# consensus:              # for several annotators; see docs/serve.md
#   overlap: 0.2          # share of the items that a second person answers, too
#   tests: 0.05           # share of test questions: items with a known answer, or marked as ground truth

platform:
  name: label-studio      # `alearn label-studio up` starts a private one; or set options.url and LABEL_STUDIO_API_KEY
"""


def write_config(source: str, *, classes: str, data: str, name: str, out: Path, as_json: bool) -> None:
    """Write the file; raises ConfigError, and writes nothing, when it exists or would not be sound."""
    folder = out.resolve().parent
    names = [part.strip() for part in classes.split(",") if part.strip()]
    text = TEMPLATE.format(
        file=shlex.quote(str(out)),
        name=_written(name or _name(folder.name)),
        path=_written(_seen_from(folder, source)),
        data=_written(data or _guess(source)),
        classes=_written(names),
    )
    config = parse(yaml.safe_load(text), name=out.name, folder=folder)
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{out} must not exist yet, so that nothing is overwritten. Name another with --out."
        ) from None
    except OSError as error:
        raise ConfigError(
            f"--out must be a file in an existing folder that you may write to. Got {out}: {error.strerror}. "
            "Make the folder, or name another."
        ) from error
    if as_json:
        emit({"file": str(out.resolve()), "name": config.name, "data": config.task.data, "classes": names})
    else:
        typer.echo(f"Wrote {out}. Next: alearn label-studio up, then alearn run {shlex.quote(str(out))}")


def _name(folder: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", folder.lower()).strip("-._")[:63] or "loop"


def _seen_from(folder: Path, source: str) -> str:
    """The source as a file in `folder` has to name it, which is as it was typed unless that file is elsewhere."""
    if "://" in source or os.path.isabs(source) or source.startswith("~") or folder == Path.cwd():
        return source
    return os.path.relpath(source, folder)


def _written(value: object) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _guess(source: str) -> str:
    """Images when a folder holds some, text for files of rows and folders of .txt files."""
    path = Path(os.path.expanduser(source))
    if "://" not in source and not path.exists():
        raise ConfigError(f"ITEMS must be a folder, a file, or a URL. Nothing is at {source}. Correct it.")
    if Path(source).suffix.lower() in TABLES:
        return "text"
    suffixes = {one.suffix.lower() for one in path.rglob("*")} if "://" not in source else set()
    if suffixes & IMAGES:
        return "image"
    if ".txt" in suffixes:
        return "text"
    raise ConfigError(f"What {source} holds cannot be guessed. Add --data image or --data text.")
