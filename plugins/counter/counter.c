/* Answers "!count" with the number of such messages in this guild, and "!count TEXT" with that number and the text. */

#include "../guildhook.h"

/* option<string> in memory. */
struct state_value {
    byte present;
    const byte *text;
    u32 length;
};

/* result<_, string> in memory. */
struct set_result {
    byte failed;
    const byte *reason;
    u32 length;
};

HOST("state", "get") void state_get(const byte *key, u32 key_length, struct state_value *result);
HOST("state", "set")
void state_set(const byte *key, u32 key_length, const byte *value, u32 value_length, struct set_result *result);

static const byte KEY[] = {'c', 'o', 'u', 'n', 't'};

/* Reads the decimal digits at the start of a text as a number. */
static u64 number(struct state_value text) {
    u64 value = 0;
    for (u32 i = 0; text.present && i < text.length && text.text[i] >= '0' && text.text[i] <= '9'; i++)
        value = value * 10 + (text.text[i] - '0');
    return value;
}

/* Writes the number so that it ends before `end`. */
static byte *put_decimal(byte *end, u64 value) {
    do *--end = '0' + value % 10;
    while (value /= 10);
    return end;
}

/* True if the text is the command, or begins with it and a blank. */
static int is_command(struct text text, struct text *rest) {
    struct text command = {text.start, 6};
    if (text.length < command.length || !equals(command, "!count")) return 0;
    rest->start = text.start + command.length;
    rest->length = text.length - command.length;
    return rest->length == 0 || rest->start[0] == ' ';
}

EXPORT("on-message") void on_message(const byte *json, u32 length) {
    struct message message = read_message(json, length);
    struct text rest;
    if (!is_command(message.content, &rest)) return;

    struct state_value count;
    state_get(KEY, sizeof KEY, &count);
    byte digits[20], *end = digits + sizeof digits;
    byte *start = put_decimal(end, number(count) + 1);
    struct set_result set;
    state_set(KEY, sizeof KEY, start, end - start, &set);
    if (set.failed) return; /* the host logs the refusal */

    byte *answer = cabi_realloc(0, 0, 1, (end - start) + rest.length), *out = answer;
    while (start < end) *out++ = *start++;
    for (u32 i = 0; i < rest.length; i++) *out++ = rest.start[i];
    struct send_result sent;
    host_send_message(message.channel.start, message.channel.length, answer, out - answer, &sent);
}
