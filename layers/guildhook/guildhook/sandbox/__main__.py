"""The child process of child.py: wasm on stdin, the artifact on stdout. Usage: -m guildhook.sandbox MEMORY_BYTES"""

import resource
import sys

from guildhook.errors import InvalidPluginError
from guildhook.sandbox.child import REFUSED_STATUS
from guildhook.sandbox.engine import Engine

memory_bytes = int(sys.argv[1])
engine, wasm = Engine(), sys.stdin.buffer.read()
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
try:
    sys.stdout.buffer.write(engine.compile_here(wasm))
except InvalidPluginError as error:
    sys.stderr.write(str(error))
    sys.exit(REFUSED_STATUS)
except MemoryError:
    sys.stderr.write(f"compiling it needs more than the limit of {memory_bytes} bytes of memory")
    sys.exit(REFUSED_STATUS)
