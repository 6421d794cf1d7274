"""Look at what there is, plan the next step, do it, and look again."""
