"""The way of a version, from its upload to ready: checked, compiled and started once."""
