"""Pure logic: arrays and values in, arrays and values out; no I/O, no clock, no global randomness."""
