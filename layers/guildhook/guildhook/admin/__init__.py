"""The admin API, with which guild admins manage plugins over HTTP, and the admin page."""
