"""One measurement of a series with more and more replicas: does capacity grow with them."""

from readiness.load.child.options import default_profile
from readiness.load.child.shape import ProfileShape
from readiness.load.child.users import ClosedUser, OpenUser

__all__ = ["ClosedUser", "OpenUser", "ProfileShape"]

default_profile("scalability")
