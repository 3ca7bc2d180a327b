"""Answers "!ping" in the same channel, and logs it."""

import json

from wit_world import WitWorld as Plugin
from wit_world.imports import host_api


class WitWorld(Plugin):
    def on_message(self, msg_json: str) -> None:
        message = json.loads(msg_json)
        if message["content"] != "!ping":
            return
        host_api.send_message(message["channel_id"], "pong")
        host_api.log("answered a ping")
