"""What one trial does to one network, and the record of it. Works for any `nn.Module`."""
