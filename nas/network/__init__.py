"""The network as PyTorch and as source that needs only PyTorch."""
