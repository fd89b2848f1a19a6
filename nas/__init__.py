"""Architecture search over the separability spectrum of convolutions."""
