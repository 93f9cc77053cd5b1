"""The sheets as a resource."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg

from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.sheet.client import SheetClient


class SheetResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens a client for each sheet of the settings."""

    settings: dg.ResourceDependency[SettingsResource]

    @contextmanager
    def clients(self) -> Iterator[tuple[SheetClient, ...]]:
        """One client for each tab of the settings, in order. Raises ConfigurationError."""
        settings = self.settings.load()
        with ExitStack() as stack:
            yield tuple(
                stack.enter_context(SheetClient(settings, sheet)) for sheet in settings.sheets
            )
