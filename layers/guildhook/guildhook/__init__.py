"""Runs the WebAssembly plugins of a chat server's guilds. See docs/architecture.md."""
