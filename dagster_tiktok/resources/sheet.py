"""The sheet as a resource."""

import dagster as dg

from dagster_tiktok.resources.settings import SettingsResource
from dagster_tiktok.sheet.client import SheetClient


class SheetResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The sheet as Dagster's assets and sensors know it."""

    settings: dg.ResourceDependency[SettingsResource]

    def client(self) -> SheetClient:
        """Raises ConfigurationError. Close it, or use it as a context manager."""
        return SheetClient(self.settings.load())
