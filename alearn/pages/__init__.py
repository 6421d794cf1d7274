"""Pages that stand alone: one HTML file, its drawings inside it, no script and no network.

`document` is the frame of a page and its tables, `drawing` the lines and texts, `plot` two axes and what is drawn along
them.

Invariant: text in, text out; whatever comes from outside is escaped here or by its caller, and nothing is loaded.
"""
