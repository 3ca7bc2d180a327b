# Lambda cannot write bytecode beside a layer's files, so each cold start would compile all of them again, which takes longer
# than the rest of it. Only Lambda's own Python version can compile them. The layers' folders have links to this file.
python3.13 := $(shell for python in $(PYTHON) python3.13; do \
  $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && echo $$python && break; done)

ifdef python3.13
compile = $(python3.13) -m compileall -q --invalidation-mode unchecked-hash -s "$(1)" -p /opt/python "$(1)"
else
compile = echo "There is no python3.13 here, so the layer is built without bytecode: cold starts take longer." >&2
endif
