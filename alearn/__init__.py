"""Active learning on pretrained models, with annotators in Label Studio, until a target metric is hit."""

import os

# Nothing phones home. Read by ONNX Runtime when it is first used, wherever that is.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
