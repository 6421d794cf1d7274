"""Experiments: the real loop, many times, against simulated annotators on items whose answers are known.

Strategies × seeds (× batch sizes, rates of wrong answers) run in parallel processes; what is finished is kept, so that
the same command goes on. `known` are the items, `design` what is run, `running` one run, `experiment` all of them,
`results` and `words` what came out, `page` how it looks.

Invariant: runs of one seed differ in nothing but what is compared: items, test part, annotators and first draws are the
same. No run ever sees the test part.
"""
