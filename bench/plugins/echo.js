// Answers "!ping" in the same channel, and logs it.
import { log, sendMessage } from "guildhook:plugin/host-api@1.2.0";

export function onMessage(msgJson) {
  const message = JSON.parse(msgJson);
  if (message.content !== "!ping") return;
  // Another number makes another plugin: the memory benchmark wants hundreds of them.
  sendMessage(message.channel_id, "pong of marker-000000");
  log("answered a ping");
}
