"""From the runs of a study to what they say: evidence, answer, words and tables."""
