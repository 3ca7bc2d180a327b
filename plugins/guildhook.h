/* The code that the plugins here share: the host's functions, memory, and the message.
 *
 * No libc and no generated bindings: the canonical ABI of wit/plugin.wit is functions of integers.
 * A run gets a fresh instance, so memory is allocated upwards and never freed. */

typedef unsigned char byte;
typedef unsigned int u32;
typedef unsigned long long u64;

#define HOST(interface, function) \
    __attribute__((import_module("guildhook:plugin/" interface "@1.2.0"), import_name(function)))
#define EXPORT(name) __attribute__((export_name(name)))

HOST("host-api", "log") void host_log(const byte *text, u32 length);

/* result<string, string> in memory. */
struct send_result {
    byte failed;
    const byte *text; /* the idempotency key, or the reason */
    u32 length;
};

HOST("host-api", "send-message")
void host_send_message(const byte *channel, u32 channel_length, const byte *content, u32 content_length,
                       struct send_result *result);

/* --- memory ------------------------------------------------------------------------------------------ */

extern byte __heap_base;
static u32 heap_top;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, u32 old_size, u32 align, u32 size) {
    if (heap_top == 0) heap_top = (u32)&__heap_base;
    u32 start = (heap_top + align - 1) & ~(align - 1);
    u32 end = start + size;
    if (end < start) __builtin_trap();
    u32 have = __builtin_wasm_memory_size(0) * 65536u;
    if (end > have && __builtin_wasm_memory_grow(0, (end - have + 65535u) / 65536u) == (u32)-1) __builtin_trap();
    heap_top = end;
    byte *block = (byte *)start;
    for (u32 i = 0; i < old_size && i < size; i++) block[i] = ((byte *)old)[i];
    return block;
}

/* --- the part of JSON that finds two strings in an object --------------------------------------------- */

struct text {
    byte *start;
    u32 length;
};

struct cursor {
    const byte *at, *end;
};

static void skip_space(struct cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t')) c->at++;
}

static u32 hex4(struct cursor *c) {
    u32 value = 0;
    for (int i = 0; i < 4 && c->at < c->end; i++) {
        byte digit = *c->at++;
        value = value << 4 | (digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
    }
    return value;
}

static byte *put_utf8(byte *out, u32 code) {
    if (code < 0x80) {
        *out++ = code;
    } else if (code < 0x800) {
        *out++ = 0xC0 | code >> 6;
        *out++ = 0x80 | (code & 0x3F);
    } else if (code < 0x10000) {
        *out++ = 0xE0 | code >> 12;
        *out++ = 0x80 | (code >> 6 & 0x3F);
        *out++ = 0x80 | (code & 0x3F);
    } else {
        *out++ = 0xF0 | code >> 18;
        *out++ = 0x80 | (code >> 12 & 0x3F);
        *out++ = 0x80 | (code >> 6 & 0x3F);
        *out++ = 0x80 | (code & 0x3F);
    }
    return out;
}

/* Reads a string whose opening quote is next. A decoded string is never longer than its JSON, so the
 * rest of the input bounds it. */
static struct text read_string(struct cursor *c) {
    byte *start = cabi_realloc(0, 0, 1, c->end - c->at), *out = start;
    c->at++;
    while (c->at < c->end && *c->at != '"') {
        if (*c->at != '\\') {
            *out++ = *c->at++;
            continue;
        }
        c->at++;
        byte escape = *c->at++;
        switch (escape) {
        case 'n': *out++ = '\n'; break;
        case 't': *out++ = '\t'; break;
        case 'r': *out++ = '\r'; break;
        case 'b': *out++ = '\b'; break;
        case 'f': *out++ = '\f'; break;
        case 'u': {
            u32 code = hex4(c);
            if (code >= 0xD800 && code < 0xDC00 && c->at + 6 <= c->end) {
                c->at += 2; /* the \u of the second half */
                code = 0x10000 + ((code - 0xD800) << 10) + (hex4(c) - 0xDC00);
            }
            out = put_utf8(out, code);
            break;
        }
        default: *out++ = escape;
        }
    }
    c->at++;
    struct text text = {start, out - start};
    heap_top = (u32)out; /* the unused rest of the bound */
    return text;
}

static void skip_string(struct cursor *c) {
    for (c->at++; c->at < c->end && *c->at != '"'; c->at++)
        if (*c->at == '\\') c->at++;
    c->at++;
}

static void skip_value(struct cursor *c) {
    u32 depth = 0;
    while (c->at < c->end) {
        byte next = *c->at;
        if (next == '"') {
            skip_string(c);
        } else {
            if (next == '}' || next == ']') {
                if (depth == 0) return; /* the end of the enclosing object or list */
                depth--;
            } else if (next == '{' || next == '[') {
                depth++;
            } else if (next == ',' && depth == 0) {
                return;
            }
            c->at++;
        }
    }
}

static int equals(struct text text, const char *other) {
    u32 i = 0;
    for (; i < text.length && other[i]; i++)
        if (text.start[i] != (byte)other[i]) return 0;
    return i == text.length && !other[i];
}

/* --- the message ------------------------------------------------------------------------------------- */

struct message {
    struct text content, channel;
};

/* A field that is missing or not a string is empty. */
static struct message read_message(const byte *json, u32 length) {
    struct cursor c = {json, json + length};
    struct message message = {{0, 0}, {0, 0}};
    skip_space(&c);
    c.at++; /* { */
    for (;;) {
        skip_space(&c);
        if (c.at >= c.end || *c.at != '"') break;
        struct text name = read_string(&c);
        skip_space(&c);
        c.at++; /* : */
        skip_space(&c);
        if (c.at < c.end && *c.at == '"' && equals(name, "content")) message.content = read_string(&c);
        else if (c.at < c.end && *c.at == '"' && equals(name, "channel_id")) message.channel = read_string(&c);
        else skip_value(&c);
        skip_space(&c);
        if (c.at < c.end && *c.at == ',') c.at++;
    }
    return message;
}
