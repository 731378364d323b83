"""The same rate for a long time: what leaks, fills up or slows down shows."""

from readiness.load.child.options import default_profile
from readiness.load.child.shape import ProfileShape
from readiness.load.child.users import ClosedUser, OpenUser

__all__ = ["ClosedUser", "OpenUser", "ProfileShape"]

default_profile("endurance")
