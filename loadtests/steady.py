"""Three equal runs at one rate: what the deployment serves every day, and how much that varies by itself."""

from readiness.load.child.options import default_profile
from readiness.load.child.shape import ProfileShape
from readiness.load.child.users import ClosedUser, OpenUser

__all__ = ["ClosedUser", "OpenUser", "ProfileShape"]

default_profile("steady")
