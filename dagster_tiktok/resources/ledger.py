"""The ledger as a resource."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import dagster as dg

from dagster_tiktok.database.functions import DatabaseClock, open_database
from dagster_tiktok.database.ledger import LEASE_SECONDS, Ledger, open_ledger
from dagster_tiktok.resources.settings import SettingsResource


class LedgerResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the ledger for a run, whose id is the batch's id."""

    settings: dg.ResourceDependency[SettingsResource]
    lease_seconds: float = LEASE_SECONDS

    async def clock(self) -> DatabaseClock:
        """Reads the database's clock.

        Raises:
            ConfigurationError, ServiceUnavailableError: see `database.open_database`.
        """
        async with open_database(self.settings.load(), starting=True) as database:
            return await database.clock()

    @asynccontextmanager
    async def open(self, run_id: str, *, starting: bool = False) -> AsyncIterator[Ledger]:
        """See `ledger.open_ledger`."""
        async with open_ledger(
            self.settings.load(),
            owner=UUID(run_id),
            lease_seconds=self.lease_seconds,
            starting=starting,
        ) as ledger:
            yield ledger
