"""The environment variables of a private Label Studio: what keeps it private, quiet, and usable by a loop."""

from __future__ import annotations

import os
from pathlib import Path

_KEPT = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "REQUESTS_CA_BUNDLE"} | {
    "SYSTEMROOT", "WINDIR", "COMSPEC", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PATHEXT",
}  # fmt: skip
_KEPT_PREFIXES = ("LC_", "AWS_", "GOOGLE_", "SSL_CERT_")

FAST_IMPORT = "fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short"
"""The switch without which every push of predictions recounts the whole project."""


def private_environment(data: Path) -> dict[str, str]:
    """The environment variables of a private Label Studio that keeps its data in `data`.

    Label Studio also reads bare names such as HOST, PORT, DEBUG or DJANGO_DB, so only what it needs is handed on.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _KEPT or name.upper().endswith("_PROXY") or name.upper().startswith(_KEPT_PREFIXES)
    }
    return kept | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        # loopback stays direct, and is not reached by another name (DNS rebinding)
        "NO_PROXY": ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1,localhost"])),
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        # nothing phones home
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
        "COLLECT_ANALYTICS": "0",
        "LATEST_VERSION_CHECK": "0",
        # webhooks and ML backends of this machine
        "SSRF_PROTECTION_ENABLED": "false",
        "ML_BLOCK_LOCAL_IP": "false",
        # read once, when the organisation is created
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "DISABLE_SIGNUP_WITHOUT_LINK": "true",
        # a task that was opened and abandoned comes back after an hour, not after a day
        "TASK_LOCK_TTL": "3600",
        FAST_IMPORT: "true",
    }
