"""From a trained checkpoint to one verified, self-describing `.onnx` file."""
