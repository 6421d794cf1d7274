"""What is said where weights cannot be downloaded."""

from __future__ import annotations

from alearn.errors import ModelError


class download:  # noqa: N801 - reads as a verb
    """Turn the many errors of a failed download into one that says what to do."""

    def __init__(self, name: str, what: str) -> None:
        self._name, self._what = name, what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # Every library's own error for a failed download, or for an unknown name, is one of these.
        if isinstance(error, (OSError, ValueError, RuntimeError, EOFError)):
            raise ModelError(
                f"The weights of {self._name} cannot be loaded: {' '.join(str(error).split())[:300].rstrip('.')}. "
                f"Without a network, copy {self._what}; or use `model.name: auto` with `pip install 'alearn[offline]'`."
            ) from error
