/* Answers "!welcome" with the greeting from its settings, and logs whether its secret is set. schema.json describes its
 * settings. */

#include "../guildhook.h"

HOST("settings", "get") void settings_get(struct text *result);

struct settings {
    struct text greeting, style;
    int excited, has_api_key;
};

/* A setting that is missing or has another type counts as not set. */
static struct settings read_settings(struct text json) {
    struct cursor c = {json.start, json.start + json.length};
    struct settings settings = {{0, 0}, {0, 0}, 0, 0};
    skip_space(&c);
    c.at++; /* { */
    for (;;) {
        skip_space(&c);
        if (c.at >= c.end || *c.at != '"') break;
        struct text name = read_string(&c);
        skip_space(&c);
        c.at++; /* : */
        skip_space(&c);
        int is_string = c.at < c.end && *c.at == '"';
        if (is_string && equals(name, "greeting")) {
            settings.greeting = read_string(&c);
        } else if (is_string && equals(name, "style")) {
            settings.style = read_string(&c);
        } else if (is_string && equals(name, "api_key")) {
            settings.has_api_key = read_string(&c).length > 0;
        } else {
            if (equals(name, "excited")) settings.excited = c.at < c.end && *c.at == 't';
            skip_value(&c);
        }
        skip_space(&c);
        if (c.at < c.end && *c.at == ',') c.at++;
    }
    return settings;
}

static struct text literal(const char *characters) {
    struct text text = {(byte *)characters, 0};
    while (characters[text.length]) text.length++;
    return text;
}

/* The greeting to send: in capitals if the style is loud, with an exclamation mark if it is excited. */
static struct text greet(struct settings settings) {
    struct text greeting = settings.greeting.length ? settings.greeting : literal("Welcome");
    struct text sent = {cabi_realloc(0, 0, 1, greeting.length + 1), 0};
    for (u32 i = 0; i < greeting.length; i++) {
        byte letter = greeting.start[i];
        int small = letter >= 'a' && letter <= 'z';
        sent.start[sent.length++] = small && equals(settings.style, "loud") ? letter - 'a' + 'A' : letter;
    }
    if (settings.excited) sent.start[sent.length++] = '!';
    return sent;
}

EXPORT("on-message") void on_message(const byte *json, u32 length) {
    struct message message = read_message(json, length);
    if (!equals(message.content, "!welcome")) return;

    struct text stored;
    settings_get(&stored);
    struct settings settings = read_settings(stored);
    struct text note = literal(settings.has_api_key ? "api_key is set" : "api_key is not set");
    host_log(note.start, note.length);

    struct text greeting = greet(settings);
    struct send_result sent;
    host_send_message(message.channel.start, message.channel.length, greeting.start, greeting.length, &sent);
}
