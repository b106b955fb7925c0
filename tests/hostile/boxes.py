"""What the generators share."""
from collections import namedtuple

Entry = namedtuple("Entry", "name part raw wanted")
