"""From a study's trainings to its answer."""
