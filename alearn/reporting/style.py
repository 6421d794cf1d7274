"""What a report looks like beyond what every page does: tiles, cards, the matrix, and the same on paper.

Invariant: nothing in it loads anything; light on screen and on paper.
"""

STYLE = """
body { max-width: 940px; }
h2 { margin-top: 2.6rem; padding-top: .9rem; border-top: 1px solid #d8dee4; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .5rem 0; } th { overflow-wrap: break-word; } .narrow table { width: auto; min-width: min(100%, 27rem); }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .84em; }
pre { background: #f6f8fa; padding: .8rem 1rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
dl.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(115px, 1fr)); gap: .6rem; margin: 1.2rem 0; }
dl.tiles div { background: #f6f8fa; border-radius: 6px; padding: .6rem .65rem; }
dl.tiles dt { color: #57606a; font-size: .84rem; } dl.tiles dd { margin: 0; }
dl.tiles dd.figure { font-size: 1.2rem; line-height: 1.45; font-variant-numeric: tabular-nums; }
dl.tiles dd.more { color: #57606a; font-size: .8rem; }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 370px), 1fr)); gap: 0 2rem; }
.beside > section { min-width: 0; } figure.square { max-width: 440px; }
td svg.whisker { display: block; width: 100%; max-width: 150px; min-width: 70px; height: 10px; margin: 0; }
td.text svg.whisker { margin-top: .1rem; } td code, td small { white-space: nowrap; }
table.matrix { width: auto; } table.matrix td { text-align: center; min-width: 2.1rem; border: 2px solid #fff; }
table.matrix th { border: 0; text-align: center; } table.matrix th[scope=row] { text-align: right; }
table.matrix thead th:first-child { font-weight: 400; color: #57606a; white-space: nowrap; }
table.matrix td.light { color: #fff; }
table.upright thead th:not(:first-child) span { writing-mode: vertical-rl; transform: rotate(180deg);
  max-height: 9rem; white-space: nowrap; }
ul.cards { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: .8rem; padding: 0;
  list-style: none; font-size: .84rem; line-height: 1.35; }
ul.cards li { border: 1px solid #d8dee4; border-radius: 6px; padding: .5rem; overflow-wrap: anywhere; }
ul.cards p { margin: .3rem 0 0; } ul.cards p.file { color: #57606a; font-size: .78rem; }
ul.cards img, ul.cards .lost { display: block; width: 100%; height: 120px; object-fit: contain; background: #f6f8fa; }
ul.cards img.tiny { image-rendering: pixelated; }
ul.cards .lost { display: grid; place-items: center; color: #57606a; text-align: center; }
ul.cards blockquote { margin: 0; font-size: .9rem; border-left: 3px solid #d8dee4; padding-left: .5rem; }
ul.texts { grid-template-columns: repeat(3, minmax(0, 1fr)); }
@media screen and (max-width: 880px) { ul.cards { grid-template-columns: repeat(4, minmax(0, 1fr)); }
  ul.texts { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@media screen and (max-width: 520px) { ul.cards, ul.texts { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@page { margin: 14mm; }
@media print { .long table { break-inside: auto; }
  tr, p, table.matrix, ul.cards li, dl.tiles div { break-inside: avoid; }
  ul { break-inside: auto; } h3, p:has(+ ul.cards, + h3, + figure) { break-after: avoid; }
  ul.cards p.file { font-size: 7pt; }
  .scroll:has(+ p.note) { break-after: avoid; } .long th, .long td { padding: .3rem; }
  h2 { margin-top: 1.6rem; } figure > svg { max-width: 155mm; } .scroll { overflow: visible; }
  .beside { grid-template-columns: 1fr 1fr; } .beside figure > svg, .square > svg { max-width: 85mm; }
  dl.tiles { grid-template-columns: repeat(auto-fit, minmax(98px, 1fr)); gap: .4rem; }
  dl.tiles div { padding: .5rem; } dl.tiles dd.figure { font-size: 1.05rem; }
  th, td { font-size: 9pt; } .long th, .long td { font-size: 8.5pt; } pre { font-size: 8pt; } }
"""
