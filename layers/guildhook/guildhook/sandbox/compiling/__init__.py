"""The way from an uploaded component to native code: inspected, wrapped, and compiled in a child process."""
