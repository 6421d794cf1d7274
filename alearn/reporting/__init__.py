"""The report of a loop: what it has learned, how sure that is, what it cost, and how to do it again.

`gathering` makes the numbers, one JSON value, out of `course` (the learning curve), `standing` and `holdout` (the model
and how good it is), `savings` and `at_random` (what was spent, and saved), `doubts` (hard items, suspected labels),
`events` (what was done without being asked) and `recipe`. `page` makes them HTML: `about_model` and `about_work` its
parts, `charts` the drawings, `gallery` and `pictures` the items, `words` the sentences, `style` the looks.

Invariant: the page shows no number that is not in the JSON value, and a report changes nothing in the loop but that
items which turn out to be unreadable are put aside, as in any round.
"""
