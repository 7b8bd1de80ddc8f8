"""The program of a worker process: `python -m onnxplain.server.worker`, which the edge starts.

Standard input holds one line of settings, and its end ends the worker. The first line of standard
output is `{}` once the worker listens, or the error that kept it from doing so.
"""

from onnxplain.server.worker.program import main

if __name__ == "__main__":
    main()
