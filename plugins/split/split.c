/* Answers "!split 90 4" with the share of each of four people in 90.
 *
 * The first version has a mistake: it divides by zero for "!split 90 0". It runs in the sample guild of `guildhook
 * serve`, so that there are failed runs to look at, and to replay on the corrected version. */

#include "../guildhook.h"

static const byte USAGE[] = "Say for example !split 90 4";

/* Reads a number of at most nine digits; 0 if there is none. */
static int read_number(struct cursor *c, u32 *value) {
    u32 digits = 0;
    for (*value = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9' && digits < 9; digits++)
        *value = *value * 10 + (*c->at++ - '0');
    return digits > 0;
}

/* Appends the number in decimal. */
static byte *put_decimal(byte *out, u32 value) {
    byte digits[10], *start = digits + sizeof digits, *end = start;
    do *--start = '0' + value % 10;
    while (value /= 10);
    while (start < end) *out++ = *start++;
    return out;
}

static byte *put_text(byte *out, const char *text) {
    while (*text) *out++ = *text++;
    return out;
}

static void answer(struct message message, const byte *text, u32 length) {
    struct send_result sent;
    host_send_message(message.channel.start, message.channel.length, text, length, &sent);
}

EXPORT("on-message") void on_message(const byte *json, u32 length) {
    struct message message = read_message(json, length);
    struct text command = {message.content.start, 6};
    if (message.content.length < 6 || !equals(command, "!split")) return;

    struct cursor c = {message.content.start + 6, message.content.start + message.content.length};
    u32 amount, people;
    skip_space(&c);
    int understood = read_number(&c, &amount);
    skip_space(&c);
    if (!understood || !read_number(&c, &people)) {
        answer(message, USAGE, sizeof USAGE - 1);
        return;
    }
#ifndef FIRST_VERSION
    if (people == 0) {
        static const byte NOBODY[] = "There is nobody to split it among.";
        answer(message, NOBODY, sizeof NOBODY - 1);
        return;
    }
#endif
    host_log((const byte *)"splitting", 9);
    byte text[64], *out = put_decimal(text, amount / people);
    out = put_text(out, " each");
    if (amount % people) {
        out = put_text(out, ", and ");
        out = put_decimal(out, amount % people);
        out = put_text(out, " left over");
    }
    answer(message, text, out - text);
}
