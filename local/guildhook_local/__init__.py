"""The embedded stack and the command line: everything around the functions, on one machine. Never shipped."""
