// Answers !dice with a number from 1 to 6.

import { log, sendMessage } from "guildhook:plugin/host-api@1.2.0";

export function onMessage(json) {
  const message = JSON.parse(json);
  if (message.content !== "!dice") return;
  const number = 1 + Math.floor(Math.random() * 6);
  log(`rolled ${number}`);
  sendMessage(message.channel_id, `You rolled a ${number}.`);
}
