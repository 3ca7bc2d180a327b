"""The folder of the tested project."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
