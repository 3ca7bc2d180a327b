/* plugins/ping for Extism: the same program, whose two imports are made of Extism's. */

#define import_module(name) unused
#define import_name(name) unused
#include "../../plugins/ping/ping.c"
#undef import_module
#undef import_name

#define EXTISM(name) __attribute__((import_module("extism:host/env"), import_name(name)))
#define USER(name) __attribute__((import_module("extism:host/user"), import_name(name)))

EXTISM("input_length") u64 input_length(void);
EXTISM("input_load_u8") u32 input_load_u8(u64 offset);
EXTISM("input_load_u64") u64 input_load_u64(u64 offset);
EXTISM("alloc") u64 block_new(u64 size);
EXTISM("length") u64 block_length(u64 block);
EXTISM("load_u8") u32 block_load_u8(u64 offset);
EXTISM("load_u64") u64 block_load_u64(u64 offset);
EXTISM("store_u8") void block_store_u8(u64 offset, u32 value);
EXTISM("store_u64") void block_store_u64(u64 offset, u64 value);
USER("log") void user_log(u64 text);
USER("send_message") u64 user_send_message(u64 channel, u64 content);

static u64 given(const byte *text, u32 length) {
    u64 block = block_new(length);
    u32 i = 0;
    for (; i + 8 <= length; i += 8) {
        u64 word;
        __builtin_memcpy(&word, text + i, 8);
        block_store_u64(block + i, word);
    }
    for (; i < length; i++) block_store_u8(block + i, text[i]);
    return block;
}

void host_log(const byte *text, u32 length) { user_log(given(text, length)); }

void host_send_message(const byte *channel, u32 channel_length, const byte *content, u32 content_length,
                       struct send_result *result) {
    u64 key = user_send_message(given(channel, channel_length), given(content, content_length));
    u32 length = block_length(key), i = 0;
    byte *text = cabi_realloc(0, 0, 8, length);
    for (; i + 8 <= length; i += 8) *(u64 *)(text + i) = block_load_u64(key + i);
    for (; i < length; i++) text[i] = block_load_u8(key + i);
    result->failed = 0;
    result->text = text;
    result->length = length;
}

EXPORT("on_message") u32 extism_on_message(void) {
    heap_top = 0; /* an instance may be used again */
    u32 length = input_length(), i = 0;
    byte *json = cabi_realloc(0, 0, 8, length);
    for (; i + 8 <= length; i += 8) *(u64 *)(json + i) = input_load_u64(i);
    for (; i < length; i++) json[i] = input_load_u8(i);
    on_message(json, length);
    return 0;
}
