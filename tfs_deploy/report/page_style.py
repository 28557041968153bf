# SPDX-License-Identifier: Apache-2.0
"""How the pages look: light and dark, on a screen, a phone and paper."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { --ink: #1f2630; --soft: #66717f; --rule: #e3e8ee; --paper: #f6f8fa; --card: #fff; --old: #2f6fde;
  --new: #d9622b; --good: #1a7f37; --bad: #cf222e; --wait: #9a6700; --shade: #8c96a3; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa4af; --rule: #2a313a; --paper: #0d1117;
  --card: #151b23; --old: #6ea8fe; --new: #ff9b66; --good: #57c26b; --bad: #ff7b72; --wait: #e3b341; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: var(--ink); background: var(--paper);
  max-width: 960px; margin: 0 auto; padding: 2em 1.2em; }
h1 { font-size: 1.7em; letter-spacing: -0.01em; margin: 0 0 0.3em; }
h2 { font-size: 0.95em; margin: 0 0 0.5em; }
section, .tile { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
section { padding: 1em 1.2em; margin: 1em 0; } section > h2:not(:first-child) { margin-top: 1.1em; }
.status { font-weight: 600; }
.status::before { content: "\\25CF"; margin-right: 0.5em; }
.done { color: var(--good); } .rolled-back { color: var(--bad); } .paused, .running { color: var(--wait); }
.key { color: var(--soft); font-size: 0.9em; margin: 0.2em 0; }
.key b { margin-right: 0.15em; } .key b.old { color: var(--old); } .key b.new { color: var(--new); margin-left: 1em; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 0.8em; margin: 1.2em 0; }
.tile { padding: 0.7em 1em; } .tile b { display: block; font-size: 1.5em; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 0.85em; } .tile.bad b { color: var(--bad); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.9em; min-width: 60%; }
th, td { padding: 0.3em 0.7em; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
th { color: var(--soft); font-weight: 600; } tr:last-child td { border-bottom: 0; }
td.right, th.right { text-align: right; font-variant-numeric: tabular-nums; } td.right { white-space: nowrap; }
td.pass { color: var(--good); } td.fail { color: var(--bad); font-weight: 600; } td.few { color: var(--wait); }
.matrix td.pass, .matrix td.fail, .matrix td.few, .matrix th + th { text-align: center; }
.matrix th:first-child, .matrix td:first-child { position: sticky; left: 0; background: var(--card); }
details { margin-top: 0.8em; } summary { cursor: pointer; color: var(--soft); font-size: 0.9em; }
svg { display: block; width: 100%; height: auto; margin-bottom: 0.6em; }
.grid { stroke: var(--rule); } .edge { stroke: var(--card); stroke-width: 2; }
.tick { fill: var(--soft); font-size: 11.5px; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .area { opacity: 0.13; }
.line.mark { stroke: var(--ink); stroke-dasharray: 4 3; stroke-width: 1.2; opacity: 0.75; }
text.good { fill: var(--good); }
.line.old { stroke: var(--old); } .line.new { stroke: var(--new); }
circle.old, rect.old, .area.old { fill: var(--old); } circle.new, rect.new, .area.new { fill: var(--new); }
rect.bad { fill: var(--bad); } rect.plain { fill: var(--shade); } rect.good { fill: var(--good); }
rect.band { opacity: 0.07; } rect.band.bad { opacity: 0.12; }
.verdict { border-left: 6px solid currentColor; padding: 0.8em 1.2em; } .verdict span { color: var(--soft); }
.verdict b { display: block; font-size: 1.35em; } .verdict p { color: var(--ink); margin: 0.2em 0; }
.findings { list-style: none; padding: 0; } .findings li { padding: 0.6em 0; border-bottom: 1px solid var(--rule); }
.findings li:last-child { border-bottom: 0; padding-bottom: 0; } .findings b { color: var(--bad); margin-right: 0.6em; }
.findings p { margin: 0.15em 0 0; overflow-wrap: anywhere; } .findings .key { white-space: normal; }
ul { margin: 0; padding-left: 1.2em; } footer { color: var(--soft); font-size: 0.85em; margin-top: 1.5em; }
@media (max-width: 640px) {
  body { padding: 1.2em 0.8em; } section { padding: 0.9em; } .plot { overflow-x: auto; } .plot svg { min-width: 820px; }
  .stacks thead { display: none; } .stacks table, .stacks tbody { display: block; }
  .stacks tr { display: block; padding: 0.5em 0; border-bottom: 1px solid var(--rule); }
  .stacks tr:last-child { border-bottom: 0; }
  .stacks td, .stacks td.right { display: flex; gap: 0.8em; border: 0; padding: 0.1em 0; text-align: left; }
  .stacks td::before { content: attr(data-head); color: var(--soft); font-weight: 400; flex: 0 0 6.5em; }
  .stacks td:empty { display: none; } }
@media print { body { background: none; padding: 0; } section { break-inside: avoid; }
  .scroll { overflow: visible; } }
"""
