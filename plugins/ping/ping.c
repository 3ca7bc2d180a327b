/* Answers "!ping" with "pong" in the same channel. */

#include "../guildhook.h"

EXPORT("on-message") void on_message(const byte *json, u32 length) {
    struct message message = read_message(json, length);
    if (!equals(message.content, "!ping")) return;
    struct send_result result;
    host_send_message(message.channel.start, message.channel.length, (const byte *)"pong", 4, &result);
    if (!result.failed) host_log((const byte *)"answered a ping", 15); /* the host logs the refusal */
}
