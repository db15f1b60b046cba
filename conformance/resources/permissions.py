"""Permissions: which function a user of the profile may call, and what a call may affect."""

from __future__ import annotations

from conformance.catalog.model import Catalog, Method
from conformance.protocol.profile import Profile

__all__ = ["Permissions"]


class Permissions:
    """Answers questions about functions and users from the catalogue and the profile.

    `writable` says whether the target may be written to.
    """

    def __init__(self, profile: Profile, catalog: Catalog, *, writable: bool) -> None:
        self.profile = profile
        self.catalog = catalog
        self.writable = writable

    def may_call(self, user: str, method: Method) -> bool:
        """Return whether the catalogue allows this user of the profile to call the function."""
        if method.auth in ("none", "session"):
            return True
        return method.auth in self.profile.users[user].roles

    def callers(self, method: Method) -> list[str]:
        """Return the users who may call a function, those with the fewest privileges first."""
        users = [name for name in self.profile.users if self.may_call(name, method)]
        return sorted(users, key=lambda name: len(self.privileges(name)))

    def privileges(self, user: str) -> frozenset[str]:
        """Return the user's roles that any function requires."""
        return frozenset(self.profile.users[user].roles) & frozenset(self.catalog.roles)

    def harmless(self, method: Method) -> bool:
        """Return whether the suite may run this function: reads always, deletes only on objects of the run."""
        if method.effect == "read":
            return True
        if not self.writable:
            return False
        if method.name in self._account_functions():
            return False
        if method.effect == "delete" or (method.object and method.object.does == "delete"):
            return any(self.catalog.create(kind) is not None for kind in self._kinds_of(method))
        return not any(param.required and self.locks_out(method, param.name) for param in method.params)

    def _account_functions(self) -> set[str]:
        auth = self.profile.auth
        return {name for name in (auth.logout,) if name}

    def locks_out(self, method: Method, name: str) -> bool:
        """Return whether this parameter may lock a user of the profile out: their own name or password."""
        auth = self.profile.auth
        if auth.login is None or method.effect == "read" or name not in (auth.login.user, auth.login.secret):
            return False
        if self._acts_on_own_objects(method):
            return False
        return method.name not in (auth.login.function, auth.key_login.function if auth.key_login else "")

    def _acts_on_own_objects(self, method: Method) -> bool:
        """Return whether a function only makes or changes objects that the run made, and no accounts.

        A kind is one of accounts where its functions take both a name and a password as the login does. A patient or a
        product may have a `name` or a `code`, too.
        """
        role, login = method.object, self.profile.auth.login
        if role is None or role.does not in ("create", "update") or self.catalog.create(role.kind) is None:
            return False
        assert login is not None
        names = {
            param.name
            for other in (method, self.catalog.create(role.kind), self.catalog.update(role.kind))
            if other is not None
            for param in other.params
        }
        return not {login.user, login.secret} <= names

    def _kinds_of(self, method: Method) -> list[str]:
        kinds = [param.ref for param in method.params if param.ref]
        if method.object and method.object.does in ("read", "update", "delete"):
            kinds.insert(0, method.object.kind)
        return kinds

    def spends(self, method: Method) -> list[str]:
        """Return the kinds of objects that a call of a function may consume, its own kind first."""
        role = method.object
        if method.effect == "read" or (role is not None and role.does in ("create", "update", "list")):
            return []
        return self._kinds_of(method)
