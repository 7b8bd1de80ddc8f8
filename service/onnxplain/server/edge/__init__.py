"""The edge: the only process that faces clients; it forwards their calls to workers."""

__all__: list[str] = []
