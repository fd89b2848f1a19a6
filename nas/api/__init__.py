"""The Python API: searches and studies as the commands and notebooks use them."""
