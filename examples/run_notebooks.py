"""Executes the notebooks beside it, and writes them with their outputs to a folder.

Run: make notebooks, or python examples/run_notebooks.py FOLDER [NOTEBOOK ...].
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parent
TIMEOUT = 600  # seconds for each cell


def main(folder: Path, notebooks: Sequence[Path]) -> None:
    """Execute each notebook in the folder, and print the seconds that it took."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in notebooks:
        start = time.perf_counter()
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=TIMEOUT, resources=resources).execute()
        nbformat.write(notebook, folder / path.name)
        print(f"{folder / path.name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    named = [Path(argument) for argument in sys.argv[2:]]
    main(Path(sys.argv[1]), named or sorted(EXAMPLES.glob("*.ipynb")))
