"""`python -m onnxplain`: the command line without its script on PATH."""

import sys

from onnxplain.cli.main import main

sys.exit(main())
