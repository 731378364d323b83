"""A burst out of nothing: ten times the rate for a fifth of the time, and whether the calm returns."""

from readiness.load.child.options import default_profile
from readiness.load.child.shape import ProfileShape
from readiness.load.child.users import ClosedUser, OpenUser

__all__ = ["ClosedUser", "OpenUser", "ProfileShape"]

default_profile("spike")
