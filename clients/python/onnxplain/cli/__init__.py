"""The command line: `onnxplain layers | check | rewrite | explain | serve`.

Importing this package loads nothing heavy: each command imports what it runs, when it runs.
"""

__all__: list[str] = []
