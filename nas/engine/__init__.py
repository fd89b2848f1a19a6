"""What runs a study: the driver, samplers, Ray, progress."""
