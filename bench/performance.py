"""Time and memory of explanations against Captum's: docs/performance.md.

Usage: `make bench`, or `python bench/performance.py [--goals NAME ...] [--nets NET ...]`. Needs
torch, torchvision, captum, onnxscript and this package, and takes some 20 minutes on two cores.
The goals are one, forms, profile, many, memory, growth, command and sampled; each is a table of its
own. Some of them replace only their own tables on the page; with some of the networks, nothing is
written.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import time
import warnings

import torch
from performance_command import command_line
from performance_forms import forms
from performance_growth import growth
from performance_machine import machine
from performance_many import many_units
from performance_memory import memory
from performance_nets import NETS
from performance_one import one_explanation
from performance_page import write_page
from performance_profile import profile
from performance_sampled import sampled_methods
from performance_table import Table
from performance_timing import THREADS

# By the names that `make bench GOALS=...` takes: the title of each section and what measures it.
GOALS = {
    "one": ("One explanation", one_explanation),
    "forms": ("Forms of the operators", forms),
    "profile": ("Where the time goes", profile),
    "many": ("Many units", many_units),
    "memory": ("Memory", memory),
    "growth": ("Growth", growth),
    "command": ("Command line", command_line),
    "sampled": ("Sampled methods", sampled_methods),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--goals", nargs="*", choices=[*GOALS], metavar="NAME")
    parser.add_argument("--nets", nargs="*", choices=NETS, metavar="NET")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(THREADS)
    print(machine(), flush=True)
    tables = {}
    for name in given.goals or GOALS:
        title, measure = GOALS[name]
        table, start, load = Table(title), time.monotonic(), os.getloadavg()[0]
        measure(table, given.nets or NETS)
        table.say("", f"Load average before the start: {load:.1f}.")
        print(f"  took {time.monotonic() - start:.0f} s", flush=True)
        tables[name] = table
        gc.collect()
    if given.nets:
        print("\nNothing was written: these are not all networks.")
    else:
        write_page(tables, [*GOALS], machine())


if __name__ == "__main__":
    main()
