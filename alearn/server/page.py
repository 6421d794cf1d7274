"""The server's front page: every loop on one line, for people; it renews itself."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #1c2430; }
table { border-collapse: collapse; width: 100%; } th, td { padding: .4rem .7rem; text-align: left; }
th { font-weight: 600; border-bottom: 2px solid #d5dbe3; } td { border-bottom: 1px solid #e8ecf1; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; } .failed { color: #b3261e; }
small { color: #5b6675; }
"""


def page(loops: Mapping[str, Mapping[str, Any]]) -> str:
    """HTML of all loops; see `alearn.loop.status` for what each is."""
    rows = "\n".join(_row(name, one) for name, one in loops.items())
    heads = "".join(f'<th class="n">{one}</th>' for one in ("items", "labels", "open", "rounds"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">'
        f"<title>alearn</title><style>{STYLE}</style></head><body><h1>alearn</h1>"
        f"<table><tr><th>loop</th><th>controller</th>{heads}<th>measured on the hold-out</th></tr>{rows}</table>"
        "</body></html>"
    )


def _row(name: str, one: Mapping[str, Any]) -> str:
    counts = "".join(f'<td class="n">{one.get(key, "")}</td>' for key in ("items", "labels", "open", "rounds"))
    state, why = escape(one["state"]), escape(str(one.get("error") or one["state_reason"]))
    told = f'<td class="{state}">{state}<br><small>{why}</small></td>'
    return f"<tr><td>{escape(name)}</td>{told}{counts}<td>{_measured(one)}</td></tr>"


def _measured(one: Mapping[str, Any]) -> str:
    """The metric that the target names, else accuracy; and what was decided."""
    target, decision = one.get("target") or {}, one.get("decision") or {}
    name = target.get("metric", "accuracy")
    row = one.get("metrics", {}).get(name)
    if not row or row["value"] is None:
        return "<small>nothing yet</small>"
    aim = f", target {target['value']:g}" if target else ""
    bounds = f"[{row['low']:.3f}, {row['high']:.3f}] on {row['n']} labels{aim}"
    return (
        f"{escape(name)} {row['value']:.3f} <small>{bounds}</small>"
        f"<br><small>{escape(decision.get('reason') or '')}</small>"
    )
