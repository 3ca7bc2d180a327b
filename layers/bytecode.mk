# Lambda cannot write bytecode beside a layer's files, so each cold start would compile all of them again, which takes longer
# than the rest of it. The layers' folders have links to this file. BYTECODE=required fails instead of leaving it out.

# Lambda's Python reads the bytecode of CPython 3.13 alone, which begins with this number. Another program of the name
# python3.13 may be a shim that starts nothing.
python3.13 := $(shell for python in $(PYTHON) python3.13; do \
  magic=$$($$python -c 'import importlib.util; print(importlib.util.MAGIC_NUMBER.hex())' 2>/dev/null); \
  [ "$$magic" != f30d0d0a ] || { echo $$python; break; }; done)

ifdef python3.13
compile = $(python3.13) -m compileall -q --invalidation-mode unchecked-hash -s "$(1)" -p /opt/python "$(1)"
else
found := $(shell command -v python3.13 2>/dev/null)
why := $(if $(found),$(found) does not run as CPython 3.13 and may be a shim,there is no python3.13)
way-out := Install Python 3.13 with pip and name it by PYTHON=/path/to/python3.13
# `sam build` shows the output of make while it runs, and the errors of make only if it fails.
compile = echo "guildhook: $(@:build-%=%) is built without bytecode, so cold starts take longer: $(why). $(way-out)."
ifeq ($(BYTECODE),required)
$(error BYTECODE is required, and $(why). $(way-out))
endif
endif

ifneq ($(filter-out required,$(BYTECODE)),)
$(error BYTECODE is $(BYTECODE). It must be empty or "required")
endif
