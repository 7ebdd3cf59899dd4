"""Texts to labels and scores. Only ``torch_backend`` loads torch, only ``onnx_backend`` onnxruntime."""
