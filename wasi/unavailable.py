"""Writes C for the functions of the world that wasi.c does not define: each of them traps.

Usage: unavailable.py WASI_C < DUMMY_WAT, where the dummy is `wasm-tools component embed --dummy -t` of the world.
"""

import re
import sys
from pathlib import Path

C_TYPES = {"i32": "unsigned int", "i64": "unsigned long long", "f32": "float", "f64": "double"}

dummy = sys.stdin.read()
available = set(re.findall(r'EXPORT\("([^"]+)"\)', Path(sys.argv[1]).read_text()))
types = dict(re.findall(r"^  \(func \(;(\d+);\) \(type \d+\)(.*)$", dummy, re.MULTILINE))
for name, index in re.findall(r'\(export "(wasi:[^"]+)" \(func (\d+)\)\)', dummy):
    if name in available or "[dtor]" in name:
        continue
    parameters = re.search(r"\(param ([^)]*)\)", types[index])
    result = re.search(r"\(result (\w+)\)", types[index])
    arguments = [f"{C_TYPES[kind]} p{i}" for i, kind in enumerate(parameters[1].split() if parameters else ())]
    print(
        f'__attribute__((export_name("{name}"))) {C_TYPES[result[1]] if result else "void"} unavailable_{index}'
        f"({', '.join(arguments) or 'void'}) {{ __builtin_trap(); }}"
    )
