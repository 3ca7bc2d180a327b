class ReleaseError(Exception):
    """No release can be made; the text names the reason and the way out."""
