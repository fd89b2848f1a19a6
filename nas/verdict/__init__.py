"""The answer of a study."""
