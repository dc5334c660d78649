"""The workshop: architectures, data and training, in PyTorch. Never imported by `kws_stream`."""
