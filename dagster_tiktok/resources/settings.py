"""The settings as a resource, so that a run reads them when it starts, not when code loads."""

import dagster as dg

from dagster_tiktok.settings import Settings, load_settings


class SettingsResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Where the settings come from. Holds no secret, because the UI shows what a resource holds."""

    env_file: str = ".env"
    max_posts_per_run: int | None = None
    """Overrides `PIPELINE_MAX_POSTS_PER_RUN`, for `dagster-tiktok run --limit`."""

    def load(self) -> Settings:
        """Reads the settings. Raises ConfigurationError if a variable is missing or wrong."""
        overrides = {}
        if self.max_posts_per_run is not None:
            overrides["pipeline_max_posts_per_run"] = self.max_posts_per_run
        return load_settings(self.env_file, **overrides)
