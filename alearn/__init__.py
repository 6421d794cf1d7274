"""Active learning on pretrained models, with annotators in Label Studio, until a target metric is hit."""

__version__ = "0.1.0"
