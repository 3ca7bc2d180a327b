# Builds NAME.wasm from NAME.c, with a C compiler and wasm-tools that both come from PyPI (requirements/dev.txt).
NAME := $(notdir $(CURDIR))
PYTHON ?= python3
WASM_TOOLS ?= $(dir $(PYTHON))wasm-tools
WIT := ../../wit/plugin.wit
# A plugin with a settings schema sets SCHEMA to the file of the schema.
SCHEMA ?=
GUILDHOOK ?= $(dir $(PYTHON))guildhook
OUT ?= $(NAME).wasm
DEFINES ?=

.ONESHELL:
.SHELLFLAGS := -ec
$(OUT): $(NAME).c ../guildhook.h $(WIT) $(SCHEMA)
	build=$$(mktemp -d)
	trap 'rm -r "$$build"' EXIT
	$(PYTHON) -m ziglang cc --target=wasm32-freestanding -Os -nostdlib -Wall -Wextra -Werror \
	  -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=8192 $(DEFINES) -o "$$build/core.wasm" $(NAME).c
	$(WASM_TOOLS) component embed $(WIT) "$$build/core.wasm" -o "$$build/embedded.wasm"
	$(WASM_TOOLS) component new "$$build/embedded.wasm" -o "$$build/component.wasm"
ifdef SCHEMA
	$(GUILDHOOK) schema "$$build/component.wasm" $(SCHEMA) -o $(OUT)
else
	mv "$$build/component.wasm" $(OUT)
endif
