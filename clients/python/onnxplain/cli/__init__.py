"""The command line: `onnxplain layers | check | rewrite | explain | serve | ...`.

Each command imports numpy, ONNX and the like only when it runs, so that `--help` is fast.
"""

__all__: list[str] = []
