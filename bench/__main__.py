"""Measures guildhook against its peers and limits: `python -m bench [SECTION…] [--json FILE] [--markdown]`."""

import argparse
import json
import os
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

from bench.report import Figure, as_json, machine, markdown, table
from guildhook_local.output_files import replace_file

SECTIONS = ("messages", "levels", "start", "command_line", "throughput", "growth", "memory")
"""Modules with a function `measure`, which yields figures."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/performance.md has it")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    figures: list[Figure] = []
    for section in arguments.sections or SECTIONS:
        print(f"{section} …", file=sys.stderr)
        # The embedded functions write their logs to stdout.
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            figures += import_module(f"bench.{section}").measure()
    print("; ".join(f"{name} {value}" for name, value in machine().items()) + "\n")
    print(markdown(figures) if arguments.markdown else table(figures))
    if arguments.json:
        replace_file(arguments.json, f"{json.dumps(as_json(figures), indent=2)}\n".encode())


if __name__ == "__main__":
    main()
