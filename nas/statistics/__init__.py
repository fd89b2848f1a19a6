"""Plain arrays in, numbers out: fronts, tests, intervals, rank agreement."""
