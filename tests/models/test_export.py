"""Model folders: whole, self-describing, and giving the loop's probabilities without alearn or torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from alearn.core.schema import LabelSchema
from alearn.data import read_image
from alearn.errors import ModelError
from alearn.models import Head, Trunk, export_model, files, fit_head, predict, serving

INTENTS = LabelSchema(tuple(f"intent {at}" for at in range(10)))
CELLS = LabelSchema(("sound", "defective"))
METRICS = {"f1": {"value": 0.71, "low": 0.6, "high": 0.8, "n": 120, "confidence": 0.9}, "auroc": {"value": None}}
FACTS = {"loop": "solar", "labels": 250, "training_set": "abc", "version": "def", "metrics": METRICS}

BARE = (
    "import runpy, sys\n"
    "gone = 'alearn torch onnx sklearn scipy safetensors transformers'\n"
    "for name in f'{gone} {sys.argv[2]}'.split():\n"
    "    sys.modules[name] = None\n"
    "path = sys.argv[1]\n"
    "sys.argv = [path, *sys.argv[3:]]\n"
    "runpy.run_path(path, run_name='__main__')\n"
)


def _bare(folder: Path, *items: str, without: str = "", stdin: str = "") -> list[dict[str, Any]]:
    """What the folder's own program says where hardly anything is installed."""
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(folder / "predict.py"), without, *items],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        input=stdin,
    )
    assert done.returncode in {0, 1}, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def cell_model(lite0: Trunk, cells: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Head]:
    head = fit_head(cells.x[:250], cells.y[:250], 2, seed=0)
    return export_model(tmp_path_factory.mktemp("models") / "cells", lite0, head, CELLS, FACTS), head


@pytest.fixture(scope="module")
def intent_model(minilm: Trunk, intents: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Head]:
    head = fit_head(intents.x[:250], intents.y[:250], 10, seed=0)
    return export_model(tmp_path_factory.mktemp("models") / "intents", minilm, head, INTENTS), head


def test_an_image_model_gives_the_loops_probabilities(cell_model: tuple[Path, Head], cells: Any) -> None:
    """Within 1e-4, from the files themselves."""
    folder, head = cell_model
    found = list(predict(folder, cells.raw[:40]))
    wanted = head.proba(cells.x[:40])
    assert [one.item for one in found] == cells.raw[:40]
    assert np.array([list((one.proba or {}).values()) for one in found]) == pytest.approx(wanted, abs=1e-4)
    assert found[0].label == CELLS.classes[int(wanted[0].argmax())]
    assert found[0].probability == pytest.approx(float(wanted[0].max()), abs=1e-4)


def test_a_text_model_gives_the_loops_probabilities(intent_model: tuple[Path, Head], intents: Any) -> None:
    """Within 1e-4, whatever texts share a batch."""
    folder, head = intent_model
    found = list(predict(folder, iter(intents.raw[:100])))
    proba = np.array([list((one.proba or {}).values()) for one in found])
    assert proba == pytest.approx(head.proba(intents.x[:100]), abs=1e-4)


def test_the_folder_runs_without_alearn_and_torch(
    cell_model: tuple[Path, Head], intent_model: tuple[Path, Head], cells: Any, intents: Any
) -> None:
    """On numpy, onnxruntime, and Pillow or tokenizers alone."""
    (cell,) = _bare(cell_model[0], cells.raw[0], without="tokenizers")
    assert list(cell["all"].values()) == pytest.approx(cell_model[1].proba(cells.x[:1])[0], abs=1e-4)
    lines = _bare(intent_model[0], "-", without="PIL", stdin="".join(f"{text}\n" for text in intents.raw[:3]))
    assert [list(line["all"].values()) for line in lines] == pytest.approx(
        intent_model[1].proba(intents.x[:3]), abs=1e-4
    )


def test_unreadable_items_have_a_reason_and_stop_nothing(cell_model: tuple[Path, Head], cells: Any) -> None:
    """In alearn and in the folder's own program."""
    items = ["/no/such.png", cells.raw[0]]
    bad, good = predict(cell_model[0], items)
    assert bad.reason
    assert bad.label is None
    assert good.label in CELLS.classes
    bad_line, good_line = _bare(cell_model[0], *items)
    assert "error" in bad_line
    assert good_line["label"] == good.label


def test_predicting_never_imports_torch(cell_model: tuple[Path, Head], cells: Any) -> None:
    """`alearn predict` must be quick, and run where torch is broken."""
    code = (
        "import sys\n"
        "for name in ('torch', 'sklearn', 'transformers', 'onnx'):\n    sys.modules[name] = None\n"
        "from pathlib import Path\nfrom alearn.models import predict\n"
        "print(next(predict(Path(sys.argv[1]), [sys.argv[2]])).label)\n"
    )
    command = [sys.executable, "-c", code, str(cell_model[0]), cells.raw[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.strip() in CELLS.classes, done.stderr


def test_the_folder_says_what_it_is(cell_model: tuple[Path, Head], lite0: Trunk) -> None:
    """Task, preprocessing, metrics, training set, base model with its licence, checksums; and the same for people."""
    folder, head = cell_model
    facts = json.loads((folder / "alearn.json").read_text())
    assert facts["task"] == {"type": "classification", "data": "image", "classes": list(CELLS.classes)}
    assert facts["inputs"] == {"kind": "image", "size": 96, "mode": "RGB", "interpolation": "bicubic"}
    assert facts["training"] == FACTS
    assert facts["base"]["licence"] == "Apache-2.0"
    assert facts["base"]["fingerprint"] == lite0.fingerprint
    assert set(facts["files"]) == {"model.onnx", "head.safetensors"}
    assert Head.from_bytes((folder / "head.safetensors").read_bytes()).strength == head.strength
    card = (folder / "MODEL_CARD.md").read_text()
    for said in ("# solar model", "sound, defective", "| f1 | 0.710 | 0.600 – 0.800 | 120 |", "Apache-2.0", "96 × 96"):
        assert said in card


def test_a_newer_export_replaces_an_older_one(pixels: Trunk, tmp_path: Path) -> None:
    """And leaves nothing beside it."""
    x, y = np.random.default_rng(0).normal(size=(20, 256)).astype(np.float32), [0, 1] * 10
    for strength in (0.1, 0.2):
        export_model(tmp_path / "model", pixels, fit_head(x, y, 2, seed=0, strength=strength), CELLS)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert json.loads((tmp_path / "model/alearn.json").read_text())["trained"]["strength"] == 0.2


def test_a_failed_export_leaves_the_older_model(pixels: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is there whole or not at all."""
    head = fit_head(np.zeros((2, 256), np.float32), [0, 1], 2, seed=0)
    export_model(tmp_path / "model", pixels, head, CELLS)
    before = (tmp_path / "model/alearn.json").read_bytes()
    with pytest.raises(TypeError):
        export_model(tmp_path / "model", pixels, head, CELLS, {"metrics": object()})
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model/alearn.json").read_bytes() == before


def test_a_folder_that_is_no_model_is_not_overwritten(pixels: Trunk, tmp_path: Path) -> None:
    """It may be the user's."""
    (tmp_path / "thesis.txt").write_text("years of work")
    head = fit_head(np.zeros((2, 256), np.float32), [0, 1], 2, seed=0)
    with pytest.raises(ModelError, match="new folder"):
        export_model(tmp_path, pixels, head, CELLS)
    with pytest.raises(ModelError, match="must have the shape"):
        export_model(tmp_path / "model", pixels, head, INTENTS)


@pytest.mark.parametrize("damage", ["no folder", "no graph", "changed graph", "other format", "no json"])
def test_a_damaged_model_is_refused(pixels: Trunk, tmp_path: Path, damage: str) -> None:
    """With what is wrong and what to do."""
    folder = tmp_path / "model"
    if damage != "no folder":
        export_model(folder, pixels, fit_head(np.zeros((2, 256), np.float32), [0, 1], 2, seed=0), CELLS)
    if damage == "no graph":
        (folder / "model.onnx").unlink()
    elif damage == "changed graph":
        (folder / "model.onnx").write_bytes(b"x")
    elif damage == "other format":
        (folder / "alearn.json").write_text('{"format": 99}')
    elif damage == "no json":
        (folder / "alearn.json").write_text("{")
    with pytest.raises(ModelError, match="Export it again"):
        list(predict(folder, []))


def test_new_folders_are_written_aside(tmp_path: Path) -> None:
    """An error inside leaves nothing."""

    def fail() -> None:
        with files.new_folder(tmp_path / "one") as aside:
            (aside / "half").write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []


def _strange_images(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8)).resize((1200, 900))
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(folder / "turned.jpg", exif=exif)
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.convert("L").save(folder / "grey.jpg")
    rgba = rgb.convert("RGBA")
    rgba.putalpha(rgb.convert("L"))
    rgba.save(folder / "alpha.png")
    rgba.convert("LA").save(folder / "grey-alpha.png")
    rgb.convert("P").save(folder / "palette.png", transparency=3)
    rgb.convert("1").save(folder / "bits.png")
    Image.fromarray(rng.integers(0, 65536, (50, 40), dtype=np.uint16)).save(folder / "deep.png")
    Image.fromarray(rng.normal(size=(50, 40)).astype(np.float32)).save(folder / "real.tiff")
    rgb.save(folder / "moving.gif", save_all=True, append_images=[rgb.rotate(90)])
    return sorted(folder.iterdir())


def test_the_folders_program_reads_images_as_the_loop_does(tmp_path: Path) -> None:
    """Turned, transparent, deep, CMYK and moving ones: pixel for pixel."""
    for path in _strange_images(tmp_path):
        ours, theirs = read_image(str(path), size=100), serving.read_image(str(path), 100)
        assert ours.mode == theirs.mode == "RGB"
        assert np.array_equal(np.asarray(ours), np.asarray(theirs)), path.name
