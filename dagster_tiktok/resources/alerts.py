"""Alerts as a resource: a Slack-compatible webhook."""

import logging

import dagster as dg
import httpx

from dagster_tiktok.errors import ServiceUnavailableError
from dagster_tiktok.net.retry import TransientError, is_transient_status, retrying
from dagster_tiktok.resources.settings import SettingsResource

log = logging.getLogger(__name__)


class AlertResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Sends a text to `ALERT_WEBHOOK_URL`."""

    settings: dg.ResourceDependency[SettingsResource]

    def send(self, text: str) -> bool:
        """Returns True if the alert was sent, False if no webhook is set.

        Raises:
            ServiceUnavailableError: the webhook rejected it. The URL is a secret and not named.
        """
        webhook = self.settings.load().alert_webhook_url
        if webhook is None:
            return False
        try:
            for attempt in retrying():
                with attempt:
                    _post(webhook.get_secret_value(), text)
        except TransientError as error:
            raise ServiceUnavailableError(f"ALERT_WEBHOOK_URL {error}.") from None
        return True


def _post(url: str, text: str) -> None:
    # Text from a sheet or a page must not mention users or add links: Slack's own escapes.
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    try:
        response = httpx.post(url, json={"text": escaped}, timeout=10.0)
    except httpx.TransportError as error:
        raise TransientError(f"did not respond ({type(error).__name__})") from None
    if is_transient_status(response.status_code):
        raise TransientError(f"responded with {response.status_code}")
    if response.is_error:
        raise ServiceUnavailableError(
            f"ALERT_WEBHOOK_URL rejected the alert ({response.status_code})."
        )
