"""Runs the WebAssembly plugins of a chat server's guilds. See docs/architecture.md."""

__version__ = "0.1.0"
