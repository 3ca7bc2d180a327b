"""Reads and writes the binary format of WebAssembly components, without wasmtime."""
