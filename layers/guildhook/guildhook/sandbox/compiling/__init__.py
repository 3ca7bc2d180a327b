"""Turns an uploaded component into native code: inspects it, wraps it, and compiles it in a child process."""
