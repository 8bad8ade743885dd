"""The Ray engine: actors are Ray actors, refs hold Ray's refs, on a local Ray or on a cluster.

The only room that imports Ray.
"""

from pullahead.actors.ray.engine import start

__all__ = ["start"]
