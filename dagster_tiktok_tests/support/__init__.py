"""What tests share: servers, proxies, pages, images, clocks.

Here: modules without tests and without pytest fixtures (those are in the `conftest.py` next to
the tests that use them).
"""
