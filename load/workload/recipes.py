"""Set-up of the functions that a load calls: who may call each, with which templates, and what responses teach."""

from __future__ import annotations

import random
import time

from conformance.catalog.model import Catalog, Method
from conformance.generation.errors import CannotGenerate
from conformance.protocol.caller import Caller
from conformance.protocol.profile import Profile
from conformance.protocol.session import SetUpFailedError
from conformance.resources.registry import Resources
from load.workload.calls import Learn
from load.workload.created import Created
from load.workload.occupancy import Occupancy
from load.workload.templates import Recipe, TemplateBuilder, TemplateSet
from load.workload.virtual_users import VirtualUsers

__all__ = ["Recipes"]


class Recipes:
    """The recipes of the functions that one process calls, by name."""

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        caller: Caller,
        resources: Resources,
        virtual_users: VirtualUsers,
        occupancy: Occupancy,
        created: Created,
        builder: TemplateBuilder,
        *,
        seed: int,
    ) -> None:
        self._profile = profile
        self._catalog = catalog
        self._caller = caller
        self._resources = resources
        self._virtual_users = virtual_users
        self._occupancy = occupancy
        self._created = created
        self._builder = builder
        self._seed = seed
        #: In the order of their preparation; a call's `index` is the position in it.
        self.functions: list[str] = []
        self.by_name: dict[str, Recipe] = {}

    def prepare(self, name: str) -> Recipe:
        """Return the recipe of a function; build it where there is none yet.

        Raises:
            SetUpFailedError, CannotGenerate: no call of it can be prepared.

        """
        if name in self.by_name:
            return self.by_name[name]
        method = self._catalog[name]
        lines = [("Content-Type", "application/json")]
        head = self._caller.client.head("POST", method.entity, lines)
        known = name in self.functions
        recipe = Recipe(name, method, self.functions.index(name) if known else len(self.functions), head)
        recipe.login = name in self._caller.logins
        recipe.creates = not recipe.login and method.object is not None and method.object.does == "create"
        recipe.learn = self._learn(recipe)
        if method.beyond_schema:
            # The schema does not state every rule: these functions may refuse with 400 (DAT-1).
            recipe.expects = frozenset({200, 400})
        kinds = self._resources.spends(method)
        if kinds:
            recipe.spends = (kinds[0], _consumed_argument(method, kinds[0]))
            recipe.learn = self._created.learn_consumed
        if method.auth != "none":
            recipe.virtual_users = [
                each for each in self._virtual_users.all if self._resources.may_call(each.user, method)
            ]
            if not recipe.virtual_users and not recipe.login:
                raise SetUpFailedError("none of this worker's users may call it")
            # Functions start with different virtual users.
            recipe.at = random.Random(f"{self._seed}/{name}").randrange(len(recipe.virtual_users) or 1)
        self.build_templates(recipe)
        if not known:
            self.functions.append(name)
        self.by_name[name] = recipe
        return recipe

    def _learn(self, recipe: Recipe) -> Learn | None:
        """Return what is called with each response, for a function that does not consume objects."""
        whoami = self._profile.auth.whoami
        if recipe.login:
            return self._created.learn_login
        if recipe.creates:
            return self._created.learn_created
        if whoami is not None and recipe.name == whoami.function:
            return self._virtual_users.watch
        return None

    def build_templates(self, recipe: Recipe) -> None:
        """Build a template set for every user; a user without valid data is left out.

        Raises:
            SetUpFailedError, CannotGenerate: no user has valid data.

        """
        problem: Exception | None = None
        template_sets: dict[str, TemplateSet] = {}
        for user in self._users(recipe):
            try:
                template_sets[user] = TemplateSet(self._builder.build(recipe, user))
            except (SetUpFailedError, CannotGenerate) as error:
                problem = problem or error
            time.sleep(0)  # other greenlets run: after a reset this happens while the load goes on
        if problem is not None and not template_sets:
            raise problem
        recipe.template_sets = template_sets
        if recipe.method.auth != "none":
            recipe.virtual_users = [each for each in recipe.virtual_users if each.user in template_sets]
            if recipe.virtual_users:
                recipe.seats = self._occupancy.seats(recipe.virtual_users, recipe.at)

    def _users(self, recipe: Recipe) -> list[str]:
        """Return the users that a function needs templates for; "" stands for no user."""
        if recipe.login:
            users = list(dict.fromkeys(each.user for each in self._virtual_users.all))
            return users or list(self._profile.users)
        if recipe.method.auth == "none":
            return [""]
        return list(dict.fromkeys(each.user for each in recipe.virtual_users))


def _consumed_argument(method: Method, kind: str) -> str:
    """Return the argument that names the object that a call consumes.

    Raises:
        SetUpFailedError: there is none.

    """
    if method.object is not None and method.object.does == "delete":
        return method.object.id
    for param in method.params:
        if param.ref == kind and param.required:
            return param.name
    raise SetUpFailedError(f"no required argument of it names the {kind} that it uses up")
