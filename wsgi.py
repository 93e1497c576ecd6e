"""The WSGI entry point, also for ``flask --app wsgi``."""

from labbook.app import create_app

app = create_app()
