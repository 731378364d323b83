"""A fixed rate against a deployment that holds a lot of data: what scans gets slow."""

from readiness.load.child.options import default_profile
from readiness.load.child.shape import ProfileShape
from readiness.load.child.users import ClosedUser, OpenUser

__all__ = ["ClosedUser", "OpenUser", "ProfileShape"]

default_profile("volume")
