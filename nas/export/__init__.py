"""Export of a trial."""
