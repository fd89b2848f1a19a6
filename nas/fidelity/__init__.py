"""Whether a study's short trainings rank architectures as long ones would."""
