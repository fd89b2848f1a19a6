"""From a study's runs to its answer."""
